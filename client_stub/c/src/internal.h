/* What the parts of the library share. Not for programs: names and shapes here change without notice. */
#ifndef LICSRV_INTERNAL_H
#define LICSRV_INTERNAL_H

#include "../licsrv_verify.h"
#include "json.h"

#define LSV_TRY(call)                                \
    do {                                             \
        licsrv_result tried_ = (call);               \
        if (tried_ != LICSRV_OK) return tried_;      \
    } while (0)

/* Demand a condition that only damaged or forged input breaks. */
#define LSV_DEMAND(condition)                        \
    do {                                             \
        if (!(condition)) return LICSRV_INVALID;     \
    } while (0)

#define LSV_DIGEST_BYTES 32
#define LSV_SIGNATURE_BYTES 64
#define LSV_ENTRY_BYTES 7
#define LSV_HASH_CHARACTERS 8
#define LSV_NORMAL_BYTES (3 * LICSRV_MAXIMUM_DEVICE_INFO) /* upper case has at most three times the bytes: U+0390 */

/* A range of the caller's bytes. */
typedef struct lsv_span {
    const char *data;
    size_t length;
} lsv_span;

/* The rest of a workspace. */
typedef struct lsv_arena {
    unsigned char *next;
    size_t left;
} lsv_arena;

/* What is expected at one place: the announced type, the purpose of the key, how long it may be. */
typedef struct lsv_kind {
    const char *type;
    licsrv_purpose purpose;
    size_t maximum;
} lsv_kind;

/* span.c */
lsv_arena lsv_arena_of(licsrv_workspace workspace);
void *lsv_take(lsv_arena *arena, size_t size); /* aligned for any of our types; NULL when nothing is left */
lsv_span lsv_span_of(const char *text);
bool lsv_equals(lsv_span span, const char *text);
bool lsv_same_text(licsrv_text one, licsrv_text other);
bool lsv_skip(lsv_span *rest, const char *expected);       /* step over exactly these characters */
lsv_span lsv_until(lsv_span *rest, char end);              /* take what comes before `end`, which stays */

/* base64.c: one spelling only; both may decode in place */
bool lsv_base64url_decode(lsv_span text, unsigned char *out, size_t *length);
bool lsv_base64_decode(lsv_span text, unsigned char *out, size_t *length);
void lsv_base64url_encode(const unsigned char *raw, size_t length, char *out); /* without padding, with NUL */

/* crypto.c: everything that needs libcrypto */
/* of both, one behind the other */
licsrv_result lsv_sha256(lsv_span first, lsv_span second, unsigned char digest[LSV_DIGEST_BYTES]);
licsrv_result lsv_hmac(lsv_span key, lsv_span message, unsigned char digest[LSV_DIGEST_BYTES]);
bool lsv_equal_in_constant_time(lsv_span one, lsv_span other);
licsrv_result lsv_check_signature(const licsrv_expected *expected, lsv_span key_id, licsrv_purpose purpose,
                                  lsv_span message, lsv_span signature);
licsrv_result lsv_check_second_signature(const licsrv_expected *expected, lsv_span key_id, lsv_span message,
                                         lsv_span signature); /* ML-DSA-65, with a pinned second key */

/* compact.c */
licsrv_result lsv_open_compact(lsv_span text, const lsv_kind *kind, const licsrv_expected *expected, lsv_arena *arena,
                               lsv_span *payload);
licsrv_result lsv_decode_part(lsv_span part, lsv_arena *arena, lsv_span *decoded); /* with NUL after the last byte */
licsrv_result lsv_read_json(lsv_span text, lsv_arena *arena, lsv_json *json);      /* the text must be writable */

/* claims.c: members of the object at the root of `json` */
bool lsv_claim_text(const lsv_json *json, const char *name, bool may_be_empty, licsrv_text *out);
bool lsv_claim_optional_text(const lsv_json *json, const char *name, licsrv_text *out);
bool lsv_claim_number(const lsv_json *json, const char *name, int64_t maximum, int64_t *out);
bool lsv_claim_start(const lsv_json *json, const char *name, int64_t *out); /* a moment that spans are added to */
bool lsv_claim_end(const lsv_json *json, const char *name, int64_t *out);   /* absent: LICSRV_NEVER */
bool lsv_claim_flag(const lsv_json *json, const char *name, bool *out);     /* absent: false */
extern const int64_t LSV_LAST_END;

/* license.c */
licsrv_result lsv_check_expected(const licsrv_expected *expected);
licsrv_result lsv_read_license(const lsv_json *json, licsrv_license *license);
licsrv_result lsv_judge_license(licsrv_license *license, const licsrv_expected *expected);

/* device.c */
bool lsv_split_device(const char *text, lsv_span parts[4]);
size_t lsv_normal_value(int part, lsv_span raw, char out[LSV_NORMAL_BYTES]); /* 0: there is none */
lsv_span lsv_next_value(int part, lsv_span *rest);
extern const char *const LSV_PART_NAMES[4];

/* shared.c: values in normal form */
bool lsv_is_shared(int part, lsv_span value); /* identifies no machine, because many have it */
bool lsv_is_local(int part, lsv_span value);  /* a MAC that software made up */
bool lsv_local_counts(int part, lsv_span raw);
bool lsv_is_telling(int part, lsv_span value, bool local_counts);

/* binding.c */
bool lsv_is_binding(const lsv_json *json, uint32_t node, bool *is_floating);
licsrv_result lsv_hash_value(int part, lsv_span value, lsv_span salt, char hash[LSV_HASH_CHARACTERS + 1]);

/* unicode.c */
bool lsv_utf8_next(lsv_span *rest, uint32_t *code_point); /* false: not UTF-8 */
size_t lsv_utf8_write(uint32_t code_point, char *out);
bool lsv_is_utf8(lsv_span text);
bool lsv_is_blank(uint32_t code_point);
size_t lsv_upper(uint32_t code_point, uint32_t upper[3]);

#endif
