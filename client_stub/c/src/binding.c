/* The claim `dev`: a machine as salted, shortened hashes per part; and whether this machine is the one. */
#include "internal.h"

#include <string.h>

#define SALT_BYTES 12
#define SALT_CHARACTERS 16
#define HASH_BYTES 6
#define WEIGHT_THAT_SUFFICES 4
#define MORE_THAN_THE_CPU 2
#define MOST_MARKED 64

static const char *const MEMBERS[4] = {"m", "d", "b", "c"}; /* in the order of the device text */
static const int WEIGHTS[4] = {2, 2, 2, 1};

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

static bool is_number(const lsv_json *json, uint32_t object, const char *name, int64_t expected) {
    int64_t number;
    uint32_t found = lsv_json_member(json, object, name);
    return found != 0 && lsv_json_number(json, found, INT32_MAX, &number) && number == expected;
}

/*
 * Members that the version does not have are refused: a rule that is not understood must not be skipped. Version 2 is
 * version 1 with `f`, which says that the license is floating.
 */
bool lsv_is_binding(const lsv_json *json, uint32_t node, bool *is_floating) {
    uint32_t known = 2, found;
    if (node == 0 || !lsv_json_is(json, node, LSV_OBJECT)) return false;
    *is_floating = is_number(json, node, "v", 2);
    if (*is_floating ? !is_number(json, node, "f", 1) : !is_number(json, node, "v", 1)) return false;
    known += *is_floating ? 1 : 0;
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
static uint32_t first_of(const licsrv_license *license, uint32_t bound) {
    const lsv_node *nodes = license->inside.nodes;
    return nodes[bound].type == LSV_LIST ? bound + 1 : bound;
}

/* The node that holds a hash; 0: none. */
static uint32_t find_bound(const licsrv_license *license, uint32_t bound, const char *hash) {
    const lsv_node *nodes = license->inside.nodes;
    for (uint32_t node = first_of(license, bound); node < nodes[bound].next; node++) {
        if (memcmp(license->inside.text + nodes[node].start, hash, LSV_HASH_CHARACTERS) == 0) return node;
    }
    return 0;
}

/* Whether all that is bound of a part identifies no machine: a license of former times may say such values. */
static licsrv_result is_all_shared(const licsrv_license *license, int part, uint32_t bound, lsv_span salt, lsv_span raw,
                                   bool *all) {
    char normal[LSV_NORMAL_BYTES], hash[LSV_HASH_CHARACTERS + 1];
    const lsv_node *nodes = license->inside.nodes;
    uint32_t first = first_of(license, bound), count = 0, node;
    for (node = first; node < nodes[bound].next; node = nodes[node].next) count++;
    uint64_t marks = 0;
    while (raw.data != NULL) {
        lsv_span value = {normal, lsv_normal_value(part, lsv_next_value(part, &raw), normal)};
        if (value.length == 0 || !lsv_is_shared(part, value)) continue;
        LSV_TRY(lsv_hash_value(part, value, salt, hash));
        node = find_bound(license, bound, hash);
        if (node != 0 && node - first < MOST_MARKED) marks |= UINT64_C(1) << (node - first);
    }
    *all = count <= MOST_MARKED && marks == (count == MOST_MARKED ? UINT64_MAX : (UINT64_C(1) << count) - 1);
    return LICSRV_OK;
}

static licsrv_result compare_part(const licsrv_license *license, int part, uint32_t bound, lsv_span salt, lsv_span raw,
                                  licsrv_part *verdict) {
    char normal[LSV_NORMAL_BYTES], hash[LSV_HASH_CHARACTERS + 1];
    bool local_counts = lsv_local_counts(part, raw);
    *verdict = LICSRV_PART_ABSENT;
    while (bound != 0 && *verdict != LICSRV_PART_MATCHES && raw.data != NULL) {
        size_t length = lsv_normal_value(part, lsv_next_value(part, &raw), normal);
        if (!lsv_is_telling(part, (lsv_span){normal, length}, local_counts)) continue;
        LSV_TRY(lsv_hash_value(part, (lsv_span){normal, length}, salt, hash));
        *verdict = find_bound(license, bound, hash) != 0 ? LICSRV_PART_MATCHES : LICSRV_PART_DIFFERS;
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
    bool is_bound = false;
    for (int part = 0; part < 4; part++) {
        uint32_t bound = lsv_json_member(&json, license->inside.device, MEMBERS[part]);
        lsv_span key = {(const char *)salt, SALT_BYTES};
        bool is_left_out = bound == 0;
        if (bound != 0) LSV_TRY(is_all_shared(license, part, bound, key, raw[part], &is_left_out));
        LSV_TRY(compare_part(license, part, is_left_out ? 0 : bound, key, raw[part], &match->parts[part]));
        match->agreeing += match->parts[part] == LICSRV_PART_MATCHES ? WEIGHTS[part] : 0;
        match->required += is_left_out ? 0 : WEIGHTS[part];
        is_bound = is_bound || bound != 0;
    }
    if (match->required > WEIGHT_THAT_SUFFICES) match->required = WEIGHT_THAT_SUFFICES;
    if (is_bound && match->required < MORE_THAN_THE_CPU) match->required = MORE_THAN_THE_CPU;
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
