// world: router
//
// The least router in JavaScript: it answers OPTIONS and relays everything else to where its request URI says. It keeps the
// contract honest for languages that have no SDK.

import { method } from "switchhook:script/request@0.1.0";
import { relay, reply } from "switchhook:script/tm@0.1.0";

export const requestRoute = {
  onRequest() {
    if (method() === "OPTIONS") {
      reply(200, "OK", [{ name: "Allow", value: "OPTIONS, MESSAGE" }], undefined);
    } else {
      relay();
    }
    return "done";
  },
};

export const replyRoute = {
  onReply() {
    return "done";
  },
};
