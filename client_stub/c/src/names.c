/* Results and statuses as words, for logs and messages. */
#include "../licsrv_verify.h"

static const char *const RESULTS[] = {
    "OK",         "INVALID",     "WRONG_ISSUER", "WRONG_PRODUCT", "DEVICE_INFO", "WRONG_DEVICE",
    "NOT_YET",    "EXPIRED",     "FOREIGN_LEASE", "WRONG_NONCE",  "LEASE_ENDED", "REVOKED",
    "ROLLED_BACK", "NEEDS_FULL", "MEMORY",       "ARGUMENT",      "UNAVAILABLE", "UNREADABLE",
    "NEEDS_SEAT",
};
static const char *const STATUSES[] = {"UNKNOWN", "ACTIVE", "EXPIRED", "FROZEN", "REVOKED", "RELEASED"};

_Static_assert(sizeof RESULTS / sizeof *RESULTS == LICSRV_NEEDS_SEAT + 1, "a result has no name");
_Static_assert(sizeof STATUSES / sizeof *STATUSES == LICSRV_STATUS_RELEASED + 1, "a status has no name");

const char *licsrv_result_name(licsrv_result result) {
    unsigned int index = (unsigned int)result;
    return index < sizeof RESULTS / sizeof *RESULTS ? RESULTS[index] : "UNKNOWN";
}

const char *licsrv_status_name(licsrv_status status) {
    unsigned int index = (unsigned int)status;
    return index < sizeof STATUSES / sizeof *STATUSES ? STATUSES[index] : "UNKNOWN";
}
