/* The answer to a heartbeat. */
#include "internal.h"

static const lsv_kind LEASE = {"lease+jwt", LICSRV_FOR_LEASES, LICSRV_MAXIMUM_LEASE};

/* A status that is not known must not be taken for ACTIVE, nor for a refusal that the server did not speak. */
static bool read_status(const lsv_json *json, licsrv_status *status) {
    uint32_t node = lsv_json_member(json, 0, "status");
    for (int known = LICSRV_STATUS_ACTIVE; node != 0 && known <= LICSRV_STATUS_RELEASED; known++) {
        *status = (licsrv_status)known;
        if (lsv_json_equals(json, node, licsrv_status_name(*status))) return true;
    }
    return false;
}

static licsrv_result read_lease(const lsv_json *json, licsrv_lease *lease, licsrv_text *nonce) {
    licsrv_lease read = {0};
    LSV_DEMAND(lsv_claim_text(json, "iss", false, &read.issuer) && lsv_claim_text(json, "sub", false, &read.license_id));
    LSV_DEMAND(lsv_claim_text(json, "jti", false, &read.string_id) && lsv_claim_text(json, "nonce", false, nonce));
    LSV_DEMAND(lsv_claim_text(json, "reason", true, &read.reason) && read_status(json, &read.status));
    LSV_DEMAND(lsv_claim_start(json, "iat", &read.issued_at));
    LSV_DEMAND(lsv_claim_number(json, "exp", LSV_LAST_END, &read.expires_at));
    LSV_DEMAND(lsv_claim_start(json, "next", &read.next_heartbeat_at));
    LSV_DEMAND(lsv_claim_end(json, "license_exp", &read.license_expires_at));
    LSV_DEMAND(read.expires_at >= read.issued_at);
    *lease = read;
    return LICSRV_OK;
}

static bool belongs_to(const licsrv_lease *lease, const licsrv_license *license) {
    return lsv_same_text(lease->issuer, license->issuer) && lsv_same_text(lease->license_id, license->license_id) &&
           lsv_same_text(lease->string_id, license->string_id);
}

static licsrv_result open_lease(lsv_span text, const licsrv_expected *expected, licsrv_workspace workspace,
                                licsrv_lease *lease, licsrv_text *nonce) {
    lsv_arena arena = lsv_arena_of(workspace);
    lsv_span payload;
    lsv_json json;
    LSV_TRY(lsv_open_compact(text, &LEASE, expected, &arena, &payload));
    LSV_TRY(lsv_read_json(payload, &arena, &json));
    return read_lease(&json, lease, nonce);
}

licsrv_result licsrv_verify_lease(const char *text, size_t length, const licsrv_expected *expected,
                                  const licsrv_license *license, const char *nonce, licsrv_workspace workspace,
                                  licsrv_lease *lease) {
    licsrv_text answered;
    if (text == NULL || license == NULL || nonce == NULL || lease == NULL) return LICSRV_ARGUMENT;
    *lease = (licsrv_lease){0};
    LSV_TRY(lsv_check_expected(expected));
    LSV_TRY(open_lease((lsv_span){text, length}, expected, workspace, lease, &answered));

    lsv_span answer = {answered.data, answered.length};
    if (!belongs_to(lease, license)) return LICSRV_FOREIGN_LEASE;
    if (!lsv_equal_in_constant_time(answer, lsv_span_of(nonce))) return LICSRV_WRONG_NONCE;
    return expected->now - LICSRV_LEEWAY >= lease->expires_at ? LICSRV_LEASE_ENDED : LICSRV_OK;
}

int64_t licsrv_license_end(const licsrv_license *license, const licsrv_lease *lease) {
    if (license == NULL) return 0;
    if (lease == NULL || lease->issued_at < license->issued_at) return license->expires_at;
    if (license->expires_at == LICSRV_NEVER) return lease->license_expires_at;
    int64_t latest = license->expires_at + LICSRV_GRACE;
    return lease->license_expires_at < latest ? lease->license_expires_at : latest;
}
