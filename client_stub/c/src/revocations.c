/* The revocation list: signed, binary, sorted; looked up, and brought up to date by changes. */
#include "internal.h"

#include <string.h>

static const lsv_kind LIST = {"revocations", LICSRV_FOR_LICENSES, LICSRV_MAXIMUM_LIST};
static const int64_t LARGEST_NUMBER = INT64_C(9007199254740991); /* what every JSON reader holds exactly */
static const size_t LARGEST_HEAD = 1024;

static bool is_ascending(const unsigned char *entries, size_t count) {
    for (size_t index = 1; index < count; index++) {
        const unsigned char *entry = entries + index * LSV_ENTRY_BYTES;
        if (memcmp(entry - LSV_ENTRY_BYTES, entry, LSV_ENTRY_BYTES) >= 0) return false;
    }
    return true;
}

/* The line of JSON in front of the entries. */
static licsrv_result read_head(const lsv_json *json, licsrv_text *issuer, licsrv_revocations *list) {
    int64_t version, add, remove;
    LSV_DEMAND(lsv_claim_number(json, "v", LARGEST_NUMBER, &version) && version == 1);
    LSV_DEMAND(lsv_claim_text(json, "iss", false, issuer) && lsv_claim_start(json, "iat", &list->issued_at));
    LSV_DEMAND(lsv_claim_number(json, "number", LARGEST_NUMBER, &list->number));
    LSV_DEMAND(lsv_claim_number(json, "since", LARGEST_NUMBER, &list->since) && list->since <= list->number);
    LSV_DEMAND(lsv_claim_number(json, "add", LICSRV_MAXIMUM_LIST, &add));
    LSV_DEMAND(lsv_claim_number(json, "remove", LICSRV_MAXIMUM_LIST, &remove));
    LSV_DEMAND(list->since > 0 || remove == 0); /* a full list has nothing to take away from */
    list->add_count = (size_t)add;
    list->remove_count = (size_t)remove;
    return LICSRV_OK;
}

static licsrv_result read_entries(lsv_span entries, licsrv_revocations *list) {
    size_t added = list->add_count * LSV_ENTRY_BYTES;
    LSV_DEMAND(entries.length == added + list->remove_count * LSV_ENTRY_BYTES);
    list->add = (const unsigned char *)entries.data;
    list->remove = list->add + added;
    LSV_DEMAND(is_ascending(list->add, list->add_count) && is_ascending(list->remove, list->remove_count));
    return LICSRV_OK;
}

static licsrv_result open_list(lsv_span text, const licsrv_expected *expected, licsrv_workspace workspace,
                               licsrv_text *issuer, licsrv_revocations *list) {
    lsv_arena arena = lsv_arena_of(workspace);
    lsv_span entries;
    lsv_json json;
    LSV_TRY(lsv_open_compact(text, &LIST, expected, &arena, &entries));
    lsv_span head = lsv_until(&entries, '\n');
    LSV_DEMAND(head.length <= LARGEST_HEAD && lsv_skip(&entries, "\n"));
    LSV_TRY(lsv_read_json(head, &arena, &json));
    LSV_TRY(read_head(&json, issuer, list));
    return read_entries(entries, list);
}

licsrv_result licsrv_verify_revocations(const char *text, size_t length, const licsrv_expected *expected,
                                        licsrv_workspace workspace, licsrv_revocations *list) {
    licsrv_text issuer;
    licsrv_revocations read = {0};
    if (text == NULL || list == NULL) return LICSRV_ARGUMENT;
    *list = read;
    LSV_TRY(lsv_check_expected(expected));
    LSV_TRY(open_list((lsv_span){text, length}, expected, workspace, &issuer, &read));
    lsv_span named = {issuer.data, issuer.length};
    if (expected->issuer != NULL && !lsv_equals(named, expected->issuer)) return LICSRV_WRONG_ISSUER;
    *list = read;
    return LICSRV_OK;
}

static bool holds(const unsigned char *entries, size_t count, const unsigned char *entry) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(entries + middle * LSV_ENTRY_BYTES, entry, LSV_ENTRY_BYTES);
        if (order == 0) return true;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return false;
}

/* Append an entry, unless it is the one that was appended last. */
static void append(licsrv_revocations *updated, unsigned char *entries, const unsigned char *entry) {
    unsigned char *end = entries + updated->add_count * LSV_ENTRY_BYTES;
    if (updated->add_count > 0 && memcmp(end - LSV_ENTRY_BYTES, entry, LSV_ENTRY_BYTES) == 0) return;
    memcpy(end, entry, LSV_ENTRY_BYTES);
    updated->add_count++;
}

/* Merge two ascending groups, leaving out what the update takes away; what it both adds and takes away is not in. */
static void merge(const licsrv_revocations *held, const licsrv_revocations *update, licsrv_revocations *updated,
                  unsigned char *entries) {
    const unsigned char *old = held->add, *old_end = old + held->add_count * LSV_ENTRY_BYTES;
    const unsigned char *new = update->add, *new_end = new + update->add_count * LSV_ENTRY_BYTES;
    while (old != old_end || new != new_end) {
        bool is_new = old == old_end || (new != new_end && memcmp(new, old, LSV_ENTRY_BYTES) <= 0);
        const unsigned char *entry = is_new ? new : old;
        if (is_new) new += LSV_ENTRY_BYTES;
        else old += LSV_ENTRY_BYTES;
        if (!holds(update->remove, update->remove_count, entry)) append(updated, entries, entry);
    }
}

licsrv_result licsrv_apply_revocations(const licsrv_revocations *held, const licsrv_revocations *update,
                                       licsrv_workspace workspace, licsrv_revocations *updated) {
    static const unsigned char NOTHING[1];
    licsrv_revocations nothing = {.add = NOTHING};
    lsv_arena arena = lsv_arena_of(workspace);
    if (held == NULL || update == NULL || updated == NULL) return LICSRV_ARGUMENT;
    if (held->since != 0 || update->add == NULL) return LICSRV_ARGUMENT; /* a change cannot be held alone */
    if (update->number < held->number) return LICSRV_ROLLED_BACK;
    bool is_known = held->add != NULL && update->number == held->number;
    if (!is_known && update->since != 0 && update->since != held->number) return LICSRV_NEEDS_FULL;
    const licsrv_revocations *base = held->add != NULL && (is_known || update->since != 0) ? held : &nothing;
    if (is_known) update = &nothing; /* the same number is the same list */

    unsigned char *entries = lsv_take(&arena, (base->add_count + update->add_count) * LSV_ENTRY_BYTES + 1);
    if (entries == NULL) return LICSRV_MEMORY;
    const licsrv_revocations *newest = is_known ? held : update;
    licsrv_revocations merged = {.number = newest->number, .issued_at = newest->issued_at, .add = entries};
    merge(base, update, &merged, entries);
    merged.remove = entries + merged.add_count * LSV_ENTRY_BYTES;
    *updated = merged;
    return LICSRV_OK;
}

static licsrv_result check_entry(const licsrv_revocations *list, const char *prefix, licsrv_text id) {
    unsigned char digest[LSV_DIGEST_BYTES];
    LSV_TRY(lsv_sha256(lsv_span_of(prefix), (lsv_span){id.data, id.length}, digest));
    return holds(list->add, list->add_count, digest) ? LICSRV_REVOKED : LICSRV_OK;
}

licsrv_result licsrv_check_revocation(const licsrv_revocations *list, const licsrv_license *license) {
    if (list == NULL || license == NULL || license->license_id.data == NULL) return LICSRV_ARGUMENT;
    if (list->since != 0) return LICSRV_NEEDS_FULL; /* the list that a change belongs to may name it */
    if (license->issued_at > list->issued_at) return LICSRV_OK;
    LSV_TRY(check_entry(list, "license:", license->license_id));
    return check_entry(list, "string:", license->string_id);
}
