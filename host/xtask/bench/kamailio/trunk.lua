-- The trunk in Lua; see trunk.cfg.

function ksr_request_route()
    if reqinit() or withindlg() or relaying() then return 1 end
    KSR.pv.sets("$rd", HOST)
    KSR.pv.sets("$rp", PORT)
    if STATELESS then
        KSR.forward()
        return 1
    end
    if KSR.is_method_in("ISR") then KSR.rr.record_route() end
    if KSR.is_INVITE() then KSR.tm.t_on_failure("no_way") end
    KSR.tm.t_relay()
    return 1
end

function no_way()
    if KSR.tm.t_is_canceled() > 0 then return 1 end
    if KSR.tm.t_check_status("408|503") > 0 then KSR.tm.t_reply(503, "Service Unavailable") end
    return 1
end
