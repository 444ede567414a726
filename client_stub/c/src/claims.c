/* Members of the claims as values: present, of the right type and in range, or refused. */
#include "internal.h"

#include <string.h>

const int64_t LSV_LAST_END = 253402300799; /* 9999-12-31T23:59:59Z, "for ever" to some systems */
static const int64_t LAST_START = 32503679999; /* 2999-12-31T23:59:59Z; spans are added to these moments */

bool lsv_claim_text(const lsv_json *json, const char *name, bool may_be_empty, licsrv_text *out) {
    uint32_t node = lsv_json_member(json, 0, name);
    if (node == 0 || !lsv_json_is(json, node, LSV_STRING)) return false;
    *out = (licsrv_text){json->text + json->nodes[node].start, json->nodes[node].length};
    /* A C program reads up to the first NUL: "cad\0" must not be taken for "cad". */
    return strlen(out->data) == out->length && (out->length > 0 || may_be_empty);
}

bool lsv_claim_optional_text(const lsv_json *json, const char *name, licsrv_text *out) {
    *out = (licsrv_text){"", 0};
    return lsv_json_member(json, 0, name) == 0 || lsv_claim_text(json, name, true, out);
}

bool lsv_claim_number(const lsv_json *json, const char *name, int64_t maximum, int64_t *out) {
    uint32_t node = lsv_json_member(json, 0, name);
    return node != 0 && lsv_json_number(json, node, maximum, out);
}

bool lsv_claim_start(const lsv_json *json, const char *name, int64_t *out) {
    return lsv_claim_number(json, name, LAST_START, out);
}

bool lsv_claim_end(const lsv_json *json, const char *name, int64_t *out) {
    *out = LICSRV_NEVER;
    return lsv_json_member(json, 0, name) == 0 || lsv_claim_number(json, name, LSV_LAST_END, out);
}

bool lsv_claim_flag(const lsv_json *json, const char *name, bool *out) {
    uint32_t node = lsv_json_member(json, 0, name);
    *out = node != 0 && lsv_json_is(json, node, LSV_TRUE);
    return node == 0 || *out || lsv_json_is(json, node, LSV_FALSE);
}
