/* What a license says, whether it is believed here and now, and the license string. */
#include "internal.h"

#include <string.h>

static const lsv_kind STRING = {"license+jwt", LICSRV_FOR_LICENSES, LICSRV_MAXIMUM_STRING};
static const int64_t LARGEST_QUANTITY = INT32_MAX;

static bool is_list_of_texts(const lsv_json *json, uint32_t list) {
    if (list == 0 || !lsv_json_is(json, list, LSV_LIST)) return false;
    for (uint32_t node = list + 1; node < json->nodes[list].next; node = json->nodes[node].next) {
        if (!lsv_json_is(json, node, LSV_STRING)) return false;
    }
    return true;
}

static bool read_texts(const lsv_json *json, licsrv_license *license) {
    return lsv_claim_text(json, "iss", false, &license->issuer) &&
           lsv_claim_text(json, "jti", false, &license->string_id) &&
           lsv_claim_text(json, "sub", false, &license->license_id) &&
           lsv_claim_text(json, "code", false, &license->code) &&
           lsv_claim_text(json, "product", true, &license->product) && /* not known yet while provisional */
           lsv_claim_optional_text(json, "order", &license->order_id) &&
           lsv_claim_optional_text(json, "file", &license->file_name) &&
           lsv_claim_optional_text(json, "name", &license->product_name);
}

static bool read_numbers(const lsv_json *json, licsrv_license *license) {
    int64_t quantity;
    if (!lsv_claim_number(json, "n", LARGEST_QUANTITY, &quantity)) return false;
    license->quantity = (uint32_t)quantity;
    return lsv_claim_start(json, "iat", &license->issued_at) && lsv_claim_start(json, "nbf", &license->not_before) &&
           lsv_claim_end(json, "exp", &license->expires_at) &&
           lsv_claim_end(json, "maint", &license->maintenance_until);
}

static bool read_lists(const lsv_json *json, licsrv_license *license) {
    license->inside.text = json->text;
    license->inside.nodes = json->nodes;
    license->inside.features = lsv_json_member(json, 0, "feat");
    license->inside.device = lsv_json_member(json, 0, "dev");
    license->inside.names = lsv_json_member(json, 0, "aka");
    license->inside.entitlements = lsv_json_member(json, 0, "ent");
    if (license->inside.names != 0 && !is_list_of_texts(json, license->inside.names)) return false;
    if (license->inside.entitlements != 0 && !lsv_json_is(json, license->inside.entitlements, LSV_OBJECT)) return false;
    license->feature_count = json->nodes[license->inside.features].length;
    return is_list_of_texts(json, license->inside.features) && lsv_is_binding(json, license->inside.device, &license->is_floating);
}

licsrv_result lsv_read_license(const lsv_json *json, licsrv_license *license) {
    licsrv_license read = {0};
    LSV_DEMAND(read_texts(json, &read) && read_numbers(json, &read));
    LSV_DEMAND(lsv_claim_flag(json, "test", &read.is_test) && lsv_claim_flag(json, "prov", &read.is_provisional));
    LSV_DEMAND(read_lists(json, &read));
    *license = read;
    return LICSRV_OK;
}

licsrv_result lsv_check_expected(const licsrv_expected *expected) {
    bool has_keys = expected != NULL && expected->keys != NULL && expected->key_count > 0;
    return has_keys && expected->now >= 0 && expected->now <= LSV_LAST_END ? LICSRV_OK : LICSRV_ARGUMENT;
}

static bool is_text(licsrv_text text, const char *expected) {
    return text.length > 0 && lsv_equals((lsv_span){text.data, text.length}, expected);
}

static bool is_for(const licsrv_license *license, const char *expected) {
    const lsv_node *nodes = license->inside.nodes;
    uint32_t list = license->inside.names, node;
    if (is_text(license->product, expected) || is_text(license->product_name, expected)) return true;
    for (node = list + 1; list != 0 && node < nodes[list].next; node = nodes[node].next) {
        if (is_text((licsrv_text){license->inside.text + nodes[node].start, nodes[node].length}, expected)) return true;
    }
    return false;
}

static bool is_for_any(const licsrv_license *license, const licsrv_expected *expected) {
    for (size_t at = 0; at < expected->other_product_count; at++) {
        if (is_for(license, expected->other_products[at])) return true;
    }
    return is_for(license, expected->product);
}

static licsrv_result check_origin(const licsrv_license *license, const licsrv_expected *expected) {
    lsv_span issuer = {license->issuer.data, license->issuer.length};
    bool is_unknown = license->is_provisional && license->product.length == 0; /* the marketplace has not answered yet, and it ends soon */
    if (expected->issuer != NULL && !lsv_equals(issuer, expected->issuer)) return LICSRV_WRONG_ISSUER;
    if (expected->product == NULL || is_unknown || is_for_any(license, expected)) return LICSRV_OK;
    return LICSRV_WRONG_PRODUCT;
}

static licsrv_result check_span(const licsrv_license *license, int64_t now) {
    if (now + LICSRV_LEEWAY < license->not_before) return LICSRV_NOT_YET;
    return now - LICSRV_LEEWAY >= license->expires_at ? LICSRV_EXPIRED : LICSRV_OK;
}

licsrv_result lsv_judge_license(licsrv_license *license, const licsrv_expected *expected) {
    licsrv_match match;
    license->inside.now = expected->now;
    LSV_TRY(check_origin(license, expected));
    LSV_TRY(licsrv_match_device(license, expected->device_info, &match));
    LSV_TRY(check_span(license, expected->now));
    return license->is_floating ? LICSRV_NEEDS_SEAT : LICSRV_OK;
}

static licsrv_result open_string(lsv_span text, const licsrv_expected *expected, licsrv_workspace workspace,
                                 licsrv_license *license) {
    lsv_arena arena = lsv_arena_of(workspace);
    lsv_span payload;
    lsv_json json;
    LSV_TRY(lsv_open_compact(text, &STRING, expected, &arena, &payload));
    LSV_TRY(lsv_read_json(payload, &arena, &json));
    return lsv_read_license(&json, license);
}

licsrv_result licsrv_verify_string(const char *text, size_t length, const licsrv_expected *expected,
                                   licsrv_workspace workspace, licsrv_license *license) {
    if (text == NULL || license == NULL) return LICSRV_ARGUMENT;
    *license = (licsrv_license){0};
    LSV_TRY(lsv_check_expected(expected));
    if (expected->device_info == NULL) return LICSRV_ARGUMENT;
    LSV_TRY(open_string((lsv_span){text, length}, expected, workspace, license));
    return lsv_judge_license(license, expected);
}
