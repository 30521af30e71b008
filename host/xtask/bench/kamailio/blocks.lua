-- Blocks that both scripts have, in Lua; see blocks.cfg. A block that has decided returns true.
-- The file that Kamailio is given sets AUTH, USERS, SECRET, STATELESS, HOST and PORT, then loads this one and a script.

local ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER\r\nAccept: */*\r\n"

-- the HA1 of one of the users: made when it is asked for the first time, for Lua runs only in workers
function hash_of(user)
    local known = KSR.htable.sht_get("users", user)
    if known ~= nil then return known end
    local number = tonumber(string.match(user, "^bob%-(%d+)$"))
    if number == nil or number >= USERS then return nil end
    KSR.pv.sets("$var(secret)", user .. ":example.test:" .. user .. SECRET)
    local made = KSR.pv.get("$(var(secret){s.md5})")
    KSR.htable.sht_sets("users", user, made)
    return made
end

function answer(code, reason)
    KSR.sl.sl_send_reply(code, reason)
    return true
end

function reqinit()
    if KSR.maxfwd.process_maxfwd(10) < 0 then return answer(483, "Too Many Hops") end
    if KSR.sanity.sanity_check(1767, 7) < 0 then return true end
    if KSR.is_CANCEL() then
        if KSR.tm.t_check_trans() > 0 then
            KSR.tm.t_relay()
            return true
        end
        return answer(481, "Call/Transaction Does Not Exist")
    end
    if KSR.is_OPTIONS() and KSR.pv.is_null("$rU") and KSR.is_myself_ruri() then
        KSR.hdr.append_to_reply(ALLOW)
        return answer(200, "OK")
    end
    return false
end

function withindlg()
    if KSR.siputils.has_totag() < 0 then
        if KSR.is_ACK() then
            if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
            return true
        end
        if KSR.is_method_in("BTUO") then return answer(481, "Call/Transaction Does Not Exist") end
        return false
    end
    if KSR.rr.loose_route() > 0 then
        if KSR.is_NOTIFY() then KSR.rr.record_route() end
        KSR.tm.t_relay()
    elseif KSR.is_ACK() then
        if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
    else
        answer(481, "Call/Transaction Does Not Exist")
    end
    return true
end

function relaying()
    -- 0: a retransmission, which has been answered
    if not STATELESS and KSR.tm.t_check_trans() == 0 then return true end
    if not KSR.is_myself_ruri() then return answer(403, "Not Relaying") end
    if KSR.hdr.is_present("Route") > 0 then KSR.hdr.remove("Route") end
    return false
end
