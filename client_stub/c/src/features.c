/* What a license grants: names of the claim `feat`, and entries of `ent` with a value or an end of their own. */
#include "internal.h"

#include <string.h>

licsrv_text licsrv_feature(const licsrv_license *license, size_t position) {
    if (license == NULL || position >= license->feature_count) return (licsrv_text){"", 0};
    const lsv_node *nodes = license->inside.nodes;
    const lsv_node *found = &nodes[license->inside.features + 1 + position]; /* texts have no children */
    return (licsrv_text){license->inside.text + found->start, found->length};
}

static bool is_listed(const licsrv_license *license, const char *feature) {
    for (size_t position = 0; position < license->feature_count; position++) {
        licsrv_text found = licsrv_feature(license, position);
        if (lsv_equals((lsv_span){found.data, found.length}, feature)) return true;
    }
    return false;
}

static bool read_value(const lsv_json *json, uint32_t node, licsrv_text *value) {
    if (!lsv_json_is(json, node, LSV_STRING)) return false;
    *value = (licsrv_text){json->text + json->nodes[node].start, json->nodes[node].length};
    return strlen(value->data) == value->length;
}

/* An entry that cannot be read grants nothing: a limit that is not understood must not be skipped. */
static bool is_granted(const lsv_json *json, uint32_t entry, int64_t now, licsrv_text *value) {
    int64_t ends_at = LICSRV_NEVER;
    if (!lsv_json_is(json, entry, LSV_OBJECT)) return false;
    uint32_t stated = lsv_json_member(json, entry, "v"), end = lsv_json_member(json, entry, "exp");
    if (json->nodes[entry].length != (uint32_t)(stated != 0) + (uint32_t)(end != 0)) return false;
    if (stated != 0 && !read_value(json, stated, value)) return false;
    if (end != 0 && !lsv_json_number(json, end, LSV_LAST_END, &ends_at)) return false;
    return now < ends_at;
}

bool licsrv_feature_value(const licsrv_license *license, const char *feature, licsrv_text *value) {
    licsrv_text found = {"", 0};
    bool granted;
    if (value != NULL) *value = found;
    if (license == NULL || license->inside.nodes == NULL || feature == NULL) return false;
    /* The nodes came out of a text of ours; only their number is not needed any more. */
    lsv_json json = {(char *)(uintptr_t)license->inside.text, 0, (lsv_node *)(uintptr_t)license->inside.nodes, 0, 0};
    uint32_t limits = license->inside.entitlements;
    uint32_t entry = limits != 0 ? lsv_json_member(&json, limits, feature) : 0;
    if (entry != 0) granted = is_granted(&json, entry, license->inside.now, &found);
    else granted = is_listed(license, feature);
    if (value != NULL && granted) *value = found;
    return granted;
}

bool licsrv_has_feature(const licsrv_license *license, const char *feature) {
    return licsrv_feature_value(license, feature, NULL);
}
