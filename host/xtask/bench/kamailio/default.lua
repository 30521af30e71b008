-- examples/default in Lua; see default.cfg.

local function auth()
    if not AUTH then return false end
    local realm = "example.test"
    local user = KSR.pv.get("$au")
    local ha1 = user ~= nil and hash_of(user) or nil
    if KSR.is_REGISTER() then
        if ha1 == nil or KSR.auth.pv_auth_check(realm, ha1, 1, 0) < 0 then
            KSR.auth.auth_challenge(realm, 1)
            return true
        end
        if KSR.pv.get("$tU") ~= user then return answer(403, "Not Your Name") end
    elseif KSR.is_myself_furi() then
        if ha1 == nil or KSR.auth.pv_auth_check(realm, ha1, 1, 0) < 0 then
            KSR.auth.auth_challenge(realm, 1)
            return true
        end
        if KSR.pv.get("$fU") ~= user then return answer(403, "Not Your Name") end
        KSR.auth.consume_credentials()
    end
    return false
end

local function registrar()
    if not KSR.is_REGISTER() then return false end
    if not KSR.is_myself_turi() then return answer(404, "Not Found") end
    KSR.registrar.save("location", 0)
    return true
end

local function location()
    if KSR.pv.is_null("$rU") then return answer(484, "Address Incomplete") end
    if KSR.is_method_in("ISR") then KSR.rr.record_route() end
    local callee = KSR.pv.get("$rU")
    if KSR.registrar.lookup("location") < 0 then return answer(404, "Not Found") end
    if KSR.is_INVITE() and callee == "bob" then KSR.tm.t_on_failure("manage_failure") end
    KSR.tm.t_relay()
end

function ksr_request_route()
    if reqinit() or withindlg() or relaying() or auth() or registrar() then return 1 end
    location()
    return 1
end

function manage_failure()
    if KSR.tm.t_is_canceled() > 0 then return 1 end
    if KSR.tm.t_check_status("408|480|486|487|503|600") < 0 then return 1 end
    KSR.pv.sets("$ru", "sip:carol@example.test")
    if KSR.registrar.lookup("location") > 0 then KSR.tm.t_relay() end
    return 1
end
