// The least router in C: it answers OPTIONS and relays everything else to where its request URI says. It keeps the contract
// honest for languages that have no SDK.

#include <string.h>

#include "router.h"

static bool is(const router_string_t *text, const char *word) {
    return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

static bool answer(uint16_t status, const char *text, switchhook_script_tm_error_t *error) {
    router_string_t reason;
    router_string_set(&reason, text);
    switchhook_script_types_header_t allow;
    router_string_set(&allow.name, "Allow");
    router_string_set(&allow.value, "OPTIONS, MESSAGE");
    switchhook_script_tm_list_header_t headers = {&allow, 1};
    return switchhook_script_tm_reply(status, &reason, &headers, NULL, error);
}

bool exports_switchhook_script_request_route_on_request(exports_switchhook_script_request_route_outcome_t *outcome, router_string_t *complaint) {
    switchhook_script_tm_error_t error;
    router_string_t method;
    bool good;
    switchhook_script_request_method(&method);
    if (is(&method, "OPTIONS")) good = answer(200, "OK", &error);
    else good = switchhook_script_tm_relay(&error);
    router_string_free(&method);
    if (!good) {
        *complaint = error.message;
        return false;
    }
    *outcome = SWITCHHOOK_SCRIPT_TYPES_OUTCOME_DONE;
    return true;
}

bool exports_switchhook_script_reply_route_on_reply(exports_switchhook_script_reply_route_outcome_t *outcome, router_string_t *complaint) {
    (void)complaint;
    *outcome = SWITCHHOOK_SCRIPT_TYPES_OUTCOME_DONE;
    return true;
}
