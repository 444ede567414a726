/*
 * License files: comment lines for people, then an armour around a JWS in general JSON serialization (RFC 7515 §7.2.1).
 *
 * Read to the letter: there is exactly one spelling of a file, so whatever differs from it was changed.
 */
#include "internal.h"

#include <string.h>

#define LINE_CHARACTERS 64
#define DIGEST_CHARACTERS 43

static const char BEGIN[] = "-----BEGIN LICENSE-----\n";
static const char END[] = "-----END LICENSE-----\n";
static const char KIND[] = "\",\"typ\":\"license-file+jwt\"";

/* The parts of a file. `seconds` are the two of the optional ML-DSA-65 signature; empty when there is none. */
typedef struct file_parts {
    lsv_span comments;
    lsv_span protected_header;
    lsv_span payload;
    lsv_span signature;
    lsv_span second_header;
    lsv_span second_signature;
} file_parts;

static bool is_comment(lsv_span line) {
    return lsv_equals(line, "#") || (line.length >= 2 && memcmp(line.data, "# ", 2) == 0);
}

/* Take the comment lines, up to the armour. */
static licsrv_result read_comments(lsv_span *rest, lsv_span *comments) {
    lsv_span whole = *rest;
    while (!lsv_skip(rest, BEGIN)) {
        lsv_span line = lsv_until(rest, '\n');
        LSV_DEMAND(is_comment(line) && lsv_skip(rest, "\n"));
    }
    *comments = (lsv_span){whole.data, whole.length - rest->length - strlen(BEGIN)};
    LSV_DEMAND(lsv_is_utf8(*comments));
    return comments->length > 0 && memchr(comments->data, '\r', comments->length) ? LICSRV_INVALID : LICSRV_OK;
}

/* Take the lines of the armour and put them together: all have 64 characters, the last one up to 64. */
static licsrv_result read_armour(lsv_span *rest, lsv_arena *arena, lsv_span *json) {
    char *joined = lsv_take(arena, rest->length);
    size_t length = 0, last = LINE_CHARACTERS;
    if (joined == NULL) return LICSRV_MEMORY;
    while (!lsv_skip(rest, END)) {
        lsv_span line = lsv_until(rest, '\n');
        LSV_DEMAND(last == LINE_CHARACTERS && line.length > 0 && line.length <= LINE_CHARACTERS);
        LSV_DEMAND(lsv_skip(rest, "\n"));
        memcpy(joined + length, line.data, line.length);
        length += last = line.length;
    }
    LSV_DEMAND(rest->length == 0);
    LSV_DEMAND(lsv_base64_decode((lsv_span){joined, length}, (unsigned char *)joined, &length));
    *json = (lsv_span){joined, length};
    return LICSRV_OK;
}

static bool read_signature(lsv_span *rest, lsv_span *header, lsv_span *signature) {
    if (!lsv_skip(rest, "{\"protected\":\"")) return false;
    *header = lsv_until(rest, '"');
    if (!lsv_skip(rest, "\",\"signature\":\"")) return false;
    *signature = lsv_until(rest, '"');
    return lsv_skip(rest, "\"}");
}

/* No JSON reader: members and their order are fixed, and base64url never needs an escape. */
static licsrv_result read_members(lsv_span rest, file_parts *parts) {
    LSV_DEMAND(lsv_skip(&rest, "{\"payload\":\""));
    parts->payload = lsv_until(&rest, '"');
    LSV_DEMAND(lsv_skip(&rest, "\",\"signatures\":["));
    LSV_DEMAND(read_signature(&rest, &parts->protected_header, &parts->signature));
    if (lsv_skip(&rest, ",")) LSV_DEMAND(read_signature(&rest, &parts->second_header, &parts->second_signature));
    LSV_DEMAND(lsv_skip(&rest, "]}") && rest.length == 0);
    return LICSRV_OK;
}

/* Whether a text has the mark of a license file, in UTF-16 as well. */
static bool has_mark(lsv_span text) {
    static const char MARK[] = "BEGIN LICENSE";
    size_t found = 0;
    for (size_t index = 0; index < text.length && MARK[found] != '\0'; index++) {
        char character = text.data[index];
        if (character == '\0') continue;
        found = character == MARK[found] ? found + 1 : character == MARK[0];
    }
    return MARK[found] == '\0';
}

static licsrv_result read_text(lsv_span text, lsv_arena *arena, file_parts *parts, lsv_span *json) {
    LSV_TRY(read_comments(&text, &parts->comments));
    return read_armour(&text, arena, json);
}

static licsrv_result read_parts(lsv_span text, lsv_arena *arena, file_parts *parts) {
    lsv_span json;
    *parts = (file_parts){{0}, {0}, {0}, {0}, {0}, {0}};
    LSV_DEMAND(text.length <= LICSRV_MAXIMUM_FILE);
    licsrv_result result = read_text(text, arena, parts, &json);
    if (result == LICSRV_INVALID && has_mark(text)) return LICSRV_UNREADABLE; /* changed on its way, as by mail */
    LSV_TRY(result);
    return read_members(json, parts);
}

static bool skip_key_id(lsv_span *rest, lsv_span *key_id) {
    unsigned char raw[LICSRV_KEY_ID_CHARACTERS];
    size_t length;
    *key_id = lsv_until(rest, '"');
    return key_id->length == LICSRV_KEY_ID_CHARACTERS && lsv_base64url_decode(*key_id, raw, &length);
}

/* The header of the first signature, and the digest of the second that it names, if any. */
static licsrv_result read_first_header(lsv_span header, lsv_span *key_id, lsv_span *second) {
    *second = (lsv_span){NULL, 0};
    LSV_DEMAND(lsv_skip(&header, "{\"alg\":\"EdDSA\",\"kid\":\"") && skip_key_id(&header, key_id));
    LSV_DEMAND(lsv_skip(&header, KIND));
    if (lsv_skip(&header, ",\"second\":\"")) {
        *second = lsv_until(&header, '"');
        LSV_DEMAND(second->length == DIGEST_CHARACTERS && lsv_skip(&header, "\""));
    }
    LSV_DEMAND(lsv_skip(&header, "}") && header.length == 0);
    return LICSRV_OK;
}

static licsrv_result check_digest(lsv_span data, lsv_span digest_text) {
    unsigned char digest[LSV_DIGEST_BYTES];
    char encoded[DIGEST_CHARACTERS + 1];
    LSV_TRY(lsv_sha256(data, lsv_span_of(""), digest));
    lsv_base64url_encode(digest, sizeof digest, encoded);
    return lsv_equals(digest_text, encoded) ? LICSRV_OK : LICSRV_INVALID;
}

/* Two parts with a full stop between them, as they are signed. */
static licsrv_result join(lsv_span one, lsv_span other, lsv_arena *arena, lsv_span *joined) {
    char *text = lsv_take(arena, one.length + 1 + other.length);
    if (text == NULL) return LICSRV_MEMORY;
    memcpy(text, one.data, one.length);
    text[one.length] = '.';
    memcpy(text + one.length + 1, other.data, other.length);
    *joined = (lsv_span){text, one.length + 1 + other.length};
    return LICSRV_OK;
}

/* The second signature has to be the one that the first speaks of; with second keys, it has to be good as well. */
static licsrv_result check_second(const file_parts *parts, lsv_span digest, const licsrv_expected *expected,
                                  lsv_arena passing) {
    lsv_span header, signature, key_id, entry, input;
    LSV_DEMAND((digest.data != NULL) == (parts->second_header.data != NULL));
    if (digest.data == NULL) return expected->require_both ? LICSRV_INVALID : LICSRV_OK;
    LSV_TRY(lsv_decode_part(parts->second_header, &passing, &header));
    LSV_DEMAND(lsv_skip(&header, "{\"alg\":\"ML-DSA-65\",\"kid\":\"") && skip_key_id(&header, &key_id));
    LSV_DEMAND(lsv_skip(&header, KIND) && lsv_skip(&header, "}") && header.length == 0);
    LSV_TRY(lsv_decode_part(parts->second_signature, &passing, &signature));
    LSV_TRY(join(parts->second_header, parts->second_signature, &passing, &entry));
    LSV_TRY(check_digest(entry, digest));
    if (expected->second_key_count == 0) return LICSRV_OK;
    LSV_TRY(join(parts->second_header, parts->payload, &passing, &input));
    return lsv_check_second_signature(expected, key_id, input, signature);
}

static licsrv_result check_signatures(const file_parts *parts, const licsrv_expected *expected, lsv_arena passing) {
    lsv_span header, signature, key_id, second, input;
    LSV_TRY(lsv_decode_part(parts->protected_header, &passing, &header));
    LSV_TRY(read_first_header(header, &key_id, &second));
    LSV_TRY(lsv_decode_part(parts->signature, &passing, &signature));
    LSV_TRY(join(parts->protected_header, parts->payload, &passing, &input));
    LSV_TRY(lsv_check_signature(expected, key_id, LICSRV_FOR_LICENSES, input, signature));
    return check_second(parts, second, expected, passing);
}

static licsrv_result check_comments(const lsv_json *json, lsv_span comments) {
    licsrv_text digest;
    LSV_DEMAND(lsv_claim_text(json, "txt", false, &digest));
    licsrv_result result = check_digest(comments, (lsv_span){digest.data, digest.length});
    return result == LICSRV_INVALID ? LICSRV_UNREADABLE : result; /* the license is good, its text is not as it was */
}

static licsrv_result open_file(lsv_span text, const licsrv_expected *expected, licsrv_workspace workspace,
                               licsrv_license *license) {
    lsv_arena arena = lsv_arena_of(workspace);
    file_parts parts;
    lsv_span payload;
    lsv_json json;
    LSV_TRY(read_parts(text, &arena, &parts));
    LSV_TRY(check_signatures(&parts, expected, arena));
    LSV_TRY(lsv_decode_part(parts.payload, &arena, &payload));
    LSV_TRY(lsv_read_json(payload, &arena, &json));
    LSV_TRY(check_comments(&json, parts.comments));
    LSV_TRY(lsv_read_license(&json, license));
    license->has_second_signature = parts.second_header.data != NULL;
    return LICSRV_OK;
}

licsrv_result licsrv_verify_file(const void *bytes, size_t length, const licsrv_expected *expected,
                                 licsrv_workspace workspace, licsrv_license *license) {
    if (bytes == NULL || license == NULL) return LICSRV_ARGUMENT;
    *license = (licsrv_license){0};
    LSV_TRY(lsv_check_expected(expected));
    if (expected->device_info == NULL) return LICSRV_ARGUMENT;
    if (expected->second_key_count > 0 && expected->second_keys == NULL) return LICSRV_ARGUMENT;
    if (expected->require_both && expected->second_key_count == 0) return LICSRV_ARGUMENT;
    LSV_TRY(open_file((lsv_span){bytes, length}, expected, workspace, license));
    return lsv_judge_license(license, expected);
}
