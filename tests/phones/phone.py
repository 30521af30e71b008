"""A phone for the tests: pjsua2 without sound, told what to do by lines on standard input, telling what happens by lines
on standard output.

  phone.py USER PASSWORD PROXY_IP:PORT MY_IP:PORT udp|tcp
  in:  call URI | hangup | message URI TEXT | unregister | quit
  out: registered | refused CODE | unregistered | incoming FROM | ringing | talking | ended CODE | text FROM TEXT | sent CODE
"""

import sys
import threading

import pjsua2 as pj


def tell(*words):
    print(*words, flush=True)


class Call(pj.Call):
    def onCallState(self, prm):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            tell("ringing")
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("talking")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("ended", info.lastStatusCode)


class Account(pj.Account):
    calls = []

    def onRegState(self, prm):
        active = self.getInfo().regIsActive
        if prm.code // 100 != 2:
            tell("refused", prm.code)
        else:
            tell("registered" if active else "unregistered")

    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        self.calls.append(call)
        tell("incoming", call.getInfo().remoteUri)
        ring, answer = pj.CallOpParam(True), pj.CallOpParam(True)
        ring.statusCode, answer.statusCode = 180, 200
        call.answer(ring)
        call.answer(answer)

    def onInstantMessage(self, prm):
        tell("text", prm.fromUri, prm.msgBody)

    def onInstantMessageStatus(self, prm):
        tell("sent", prm.code)


def main():
    user, password, proxy, here, transport = sys.argv[1:]
    address, port = here.rsplit(":", 1)

    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.consoleLevel = 0
    config.logConfig.level = 4
    config.logConfig.filename = f"{user}.pjsip.log"
    config.medConfig.noVad = True
    endpoint.libInit(config)
    listen = pj.TransportConfig()
    listen.port = int(port)
    listen.boundAddress = address
    listen.publicAddress = address
    kind = pj.PJSIP_TRANSPORT_TCP if transport == "tcp" else pj.PJSIP_TRANSPORT_UDP
    endpoint.transportCreate(kind, listen)
    # sets OpenSSL up, which pjsua2 else does for TLS only: without it no digest algorithm is known
    endpoint.utilSslGetAvailableCiphers()
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()

    settings = pj.AccountConfig()
    settings.idUri = f"sip:{user}@example.test"
    settings.regConfig.registrarUri = "sip:example.test"
    settings.regConfig.timeoutSec = 300
    settings.sipConfig.proxies.append(f"sip:{proxy};transport={transport};lr")
    settings.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
    settings.mediaConfig.transportConfig.boundAddress = address
    account = Account()
    account.create(settings)

    # standard input is read beside; pjsua2 itself is only used by this thread
    orders, closed = [], threading.Event()

    def read():
        for line in sys.stdin:
            orders.append(line.rstrip("\n"))
        closed.set()

    threading.Thread(target=read, daemon=True).start()
    while True:
        endpoint.libHandleEvents(20)
        if closed.is_set() and not orders:
            break
        if not orders:
            continue
        word, _, rest = orders.pop(0).partition(" ")
        if word == "call":
            call = Call(account)
            account.calls.append(call)
            call.makeCall(rest, pj.CallOpParam(True))
        elif word == "hangup":
            account.calls[-1].hangup(pj.CallOpParam(True))
        elif word == "message":
            uri, _, text = rest.partition(" ")
            buddy_config = pj.BuddyConfig()
            buddy_config.uri = uri
            buddy = pj.Buddy()
            buddy.create(account, buddy_config)
            account.buddy = buddy
            prm = pj.SendInstantMessageParam()
            prm.content = text
            buddy.sendInstantMessage(prm)
        elif word == "unregister":
            account.setRegistration(False)
        elif word == "quit":
            break
    account.calls.clear()
    account.buddy = None
    account.shutdown()
    endpoint.libDestroy()


main()
