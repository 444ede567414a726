/* The claim `dev`: a machine as salted, shortened hashes per part; and whether this machine is the one. */
#include "internal.h"

#include <string.h>

#define SALT_BYTES 12
#define SALT_CHARACTERS 16
#define HASH_BYTES 6
#define PARTS_THAT_MUST_AGREE 2

static const char *const MEMBERS[4] = {"m", "d", "b", "c"}; /* in the order of the device text */

static bool is_list_part(int part) {
    return part < 2; /* MAC and disk may hold several values */
}

static bool is_hash(const lsv_json *json, uint32_t node) {
    unsigned char raw[LSV_HASH_CHARACTERS];
    size_t length;
    lsv_span text = {json->text + json->nodes[node].start, json->nodes[node].length};
    if (!lsv_json_is(json, node, LSV_STRING) || text.length != LSV_HASH_CHARACTERS) return false;
    return lsv_base64url_decode(text, raw, &length);
}

static bool is_list_of_hashes(const lsv_json *json, uint32_t list) {
    if (!lsv_json_is(json, list, LSV_LIST) || json->nodes[list].length == 0) return false;
    for (uint32_t node = list + 1; node < json->nodes[list].next; node = json->nodes[node].next) {
        if (!is_hash(json, node)) return false;
    }
    return true;
}

static bool is_salt(const lsv_json *json, uint32_t node) {
    unsigned char raw[SALT_CHARACTERS];
    size_t length;
    lsv_span text = {json->text + json->nodes[node].start, json->nodes[node].length};
    if (node == 0 || !lsv_json_is(json, node, LSV_STRING) || text.length != SALT_CHARACTERS) return false;
    return lsv_base64url_decode(text, raw, &length);
}

/* Members that version 1 does not have are refused: a rule that is not understood must not be skipped. */
bool lsv_is_binding(const lsv_json *json, uint32_t node) {
    int64_t version;
    uint32_t known = 2, found;
    if (node == 0 || !lsv_json_is(json, node, LSV_OBJECT)) return false;
    found = lsv_json_member(json, node, "v");
    if (found == 0 || !lsv_json_number(json, found, INT32_MAX, &version) || version != 1) return false;
    if (!is_salt(json, lsv_json_member(json, node, "s"))) return false;
    for (int part = 0; part < 4; part++) {
        found = lsv_json_member(json, node, MEMBERS[part]);
        if (found == 0) continue;
        if (is_list_part(part) ? !is_list_of_hashes(json, found) : !is_hash(json, found)) return false;
        known++;
    }
    return json->nodes[node].length == known;
}

licsrv_result lsv_hash_value(int part, lsv_span value, lsv_span salt, char hash[LSV_HASH_CHARACTERS + 1]) {
    char message[LSV_NORMAL_BYTES + 8];
    unsigned char digest[LSV_DIGEST_BYTES];
    size_t length = strlen(LSV_PART_NAMES[part]);
    memcpy(message, LSV_PART_NAMES[part], length);
    message[length++] = ':';
    memcpy(message + length, value.data, value.length);
    LSV_TRY(lsv_hmac(salt, (lsv_span){message, length + value.length}, digest));
    lsv_base64url_encode(digest, HASH_BYTES, hash);
    return LICSRV_OK;
}

/* The hashes of one part: a list of them, or one, which is its own list. */
static bool is_bound(const licsrv_license *license, uint32_t bound, const char *hash) {
    const lsv_node *nodes = license->inside.nodes;
    uint32_t first = nodes[bound].type == LSV_LIST ? bound + 1 : bound;
    for (uint32_t node = first; node < nodes[bound].next; node++) {
        if (memcmp(license->inside.text + nodes[node].start, hash, LSV_HASH_CHARACTERS) == 0) return true;
    }
    return false;
}

static licsrv_result compare_part(const licsrv_license *license, int part, uint32_t bound, lsv_span salt, lsv_span raw,
                                  licsrv_part *verdict) {
    char normal[LSV_NORMAL_BYTES], hash[LSV_HASH_CHARACTERS + 1];
    *verdict = LICSRV_PART_ABSENT;
    while (bound != 0 && *verdict != LICSRV_PART_MATCHES && raw.data != NULL) {
        size_t length = lsv_normal_value(part, lsv_next_value(part, &raw), normal);
        if (length == 0) continue;
        LSV_TRY(lsv_hash_value(part, (lsv_span){normal, length}, salt, hash));
        *verdict = is_bound(license, bound, hash) ? LICSRV_PART_MATCHES : LICSRV_PART_DIFFERS;
    }
    return LICSRV_OK;
}

static licsrv_result compare(const licsrv_license *license, const lsv_span raw[4], licsrv_match *match) {
    /* The nodes came out of a text of ours; only their number is not needed any more. */
    lsv_json json = {(char *)(uintptr_t)license->inside.text, 0, (lsv_node *)(uintptr_t)license->inside.nodes, 0, 0};
    unsigned char salt[SALT_CHARACTERS];
    size_t length;
    const lsv_node *encoded = &json.nodes[lsv_json_member(&json, license->inside.device, "s")];
    LSV_DEMAND(lsv_base64url_decode((lsv_span){json.text + encoded->start, encoded->length}, salt, &length));
    for (int part = 0; part < 4; part++) {
        uint32_t bound = lsv_json_member(&json, license->inside.device, MEMBERS[part]);
        lsv_span key = {(const char *)salt, SALT_BYTES};
        LSV_TRY(compare_part(license, part, bound, key, raw[part], &match->parts[part]));
        match->agreeing += match->parts[part] == LICSRV_PART_MATCHES;
        match->required += bound != 0 && match->required < PARTS_THAT_MUST_AGREE;
    }
    match->is_same_machine = match->agreeing >= match->required;
    return match->is_same_machine ? LICSRV_OK : LICSRV_WRONG_DEVICE;
}

licsrv_result licsrv_match_device(const licsrv_license *license, const char *device_info, licsrv_match *match) {
    lsv_span raw[4];
    if (license == NULL || license->inside.nodes == NULL || device_info == NULL || match == NULL) return LICSRV_ARGUMENT;
    *match = (licsrv_match){0};
    if (!lsv_split_device(device_info, raw)) return LICSRV_DEVICE_INFO;
    return compare(license, raw, match);
}
