/*
 * licsrv-verify: the library on the command line. Prints one JSON object and exits with 0 when the verdict is OK, with 1
 * when it is not, with 2 when it was called wrongly.
 */
#include "bytes.h"
#include "jwks.h"
#include "print.h"
#include "../machine/install_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAXIMUM_KEYS 64
#define MAXIMUM_SECOND_KEYS 16

static const char USAGE[] =
    "usage: licsrv-verify string|file FILE --keys JWKS --now SECONDS --device TEXT [--issuer NAME] [--product NAME]\n"
    "                     [--revocations FILE] [--require-both] [--feature NAME]\n"
    "       licsrv-verify lease FILE --license FILE --nonce NONCE --keys JWKS --now SECONDS --device TEXT\n"
    "       licsrv-verify revocations FILE [--update FILE] --keys JWKS --now SECONDS [--issuer NAME]\n"
    "       licsrv-verify device TEXT\n"
    "       licsrv-verify identity TEXT --store FOLDER [--machine NAME]\n"
    "FILE may be - for standard input. TEXT is MAC|disk|board|CPU; SECONDS are Unix time.\n";

/* What was asked for on the command line. */
typedef struct request {
    const char *command;
    const char *subject; /* the file to verify, or the device text */
    const char *jwks;
    const char *now;
    const char *license;
    const char *nonce;
    const char *revocations;
    const char *update;
    const char *store;
    const char *machine;
    const char *feature;
    licsrv_key keys[MAXIMUM_KEYS];
    licsrv_second_key second_keys[MAXIMUM_SECOND_KEYS];
    licsrv_expected expected;
} request;

/* A file in memory, and memory for what is found in it. Freed by the end of the process. */
typedef struct subject {
    char *bytes;
    size_t length;
    licsrv_workspace space;
} subject;

static void fail(const char *sentence) {
    fprintf(stderr, "licsrv-verify: %s\n%s", sentence, USAGE);
    exit(2);
}

static subject load(const char *path) {
    subject loaded = {NULL, 0, {NULL, 0}};
    if (path == NULL) fail("a file is missing.");
    loaded.bytes = read_bytes(path, &loaded.length);
    if (loaded.bytes == NULL) fail("a file cannot be read.");
    size_t room = LICSRV_LIST_WORKSPACE(loaded.length);
    loaded.space.size = room > LICSRV_FILE_WORKSPACE ? room : LICSRV_FILE_WORKSPACE;
    loaded.space.memory = malloc(loaded.space.size);
    if (loaded.space.memory == NULL) fail("there is not enough memory.");
    return loaded;
}

static const char **option(request *asked, const char *name) {
    struct { const char *name; const char **value; } options[] = {
        {"--keys", &asked->jwks},           {"--now", &asked->now},
        {"--license", &asked->license},     {"--nonce", &asked->nonce},
        {"--update", &asked->update},       {"--revocations", &asked->revocations},
        {"--issuer", &asked->expected.issuer},   {"--product", &asked->expected.product},
        {"--device", &asked->expected.device_info}, {"--store", &asked->store},
        {"--machine", &asked->machine},     {"--feature", &asked->feature},
    };
    for (size_t index = 0; index < sizeof options / sizeof *options; index++) {
        if (strcmp(options[index].name, name) == 0) return options[index].value;
    }
    return NULL;
}

static void read_arguments(request *asked, int count, char **arguments) {
    if (count < 3) fail("a command and a file are needed.");
    asked->command = arguments[1];
    asked->subject = arguments[2];
    for (int index = 3; index < count; index += 2) {
        if (strcmp(arguments[index], "--require-both") == 0) {
            asked->expected.require_both = true;
            index--; /* it has no value */
            continue;
        }
        const char **value = option(asked, arguments[index]);
        if (value == NULL || index + 1 == count) fail("an option is not known, or has no value.");
        *value = arguments[index + 1];
    }
}

static void read_expected(request *asked) {
    subject jwks = load(asked->jwks);
    int second_count = read_second_jwks(jwks.bytes, jwks.length, asked->second_keys, MAXIMUM_SECOND_KEYS);
    int count = read_jwks(jwks.bytes, jwks.length, asked->keys, MAXIMUM_KEYS);
    char *end = NULL;
    if (count <= 0 || second_count < 0) fail("the key set is damaged or holds no key for this program.");
    if (asked->now == NULL) fail("--now is missing.");
    asked->expected.now = strtoll(asked->now, &end, 10);
    if (end == asked->now || *end != '\0') fail("--now is no number.");
    asked->expected.keys = asked->keys;
    asked->expected.key_count = (size_t)count;
    /* As the client in Python: where this machine cannot verify them, files are believed without, unless both are due. */
    bool is_second_used = licsrv_has_ml_dsa() || asked->expected.require_both;
    asked->expected.second_keys = asked->second_keys;
    asked->expected.second_key_count = is_second_used ? (size_t)second_count : 0;
}

static bool is_file(const subject *loaded) {
    return loaded->length > 0 && (loaded->bytes[0] == '-' || loaded->bytes[0] == '#');
}

static licsrv_result verify(const subject *loaded, bool as_file, const licsrv_expected *expected,
                            licsrv_license *license) {
    if (as_file) return licsrv_verify_file(loaded->bytes, loaded->length, expected, loaded->space, license);
    return licsrv_verify_string(loaded->bytes, loaded->length, expected, loaded->space, license);
}

static licsrv_result check_list(const char *path, const licsrv_expected *expected, const licsrv_license *license) {
    licsrv_revocations list;
    subject loaded = load(path);
    licsrv_result result = licsrv_verify_revocations(loaded.bytes, loaded.length, expected, loaded.space, &list);
    return result == LICSRV_OK ? licsrv_check_revocation(&list, license) : result;
}

static licsrv_result verify_license(request *asked, bool as_file) {
    licsrv_license license;
    licsrv_match match;
    subject loaded = load(asked->subject);
    licsrv_result result = verify(&loaded, as_file, &asked->expected, &license);
    if (license.license_id.data != NULL) {
        print_license(&license);
        if (asked->feature != NULL) print_feature(&license, asked->feature);
        if (licsrv_match_device(&license, asked->expected.device_info, &match) != LICSRV_DEVICE_INFO) print_match(&match);
    }
    if (result == LICSRV_OK && asked->revocations) result = check_list(asked->revocations, &asked->expected, &license);
    return result;
}

static licsrv_result verify_lease(request *asked) {
    licsrv_license license;
    licsrv_lease lease;
    subject owner = load(asked->license), loaded = load(asked->subject);
    if (asked->nonce == NULL) fail("--nonce is missing.");
    licsrv_result result = verify(&owner, is_file(&owner), &asked->expected, &license);
    /* A lease may have moved the end, and belongs to a floating license as well. */
    bool is_judged = result == LICSRV_OK || result == LICSRV_EXPIRED || result == LICSRV_NEEDS_SEAT;
    if (!is_judged) return result;
    bool needs_seat = license.is_floating;
    result = licsrv_verify_lease(loaded.bytes, loaded.length, &asked->expected, &license, asked->nonce, loaded.space,
                                 &lease);
    if (lease.status != 0) print_lease(&lease, licsrv_license_end(&license, &lease));
    if (result == LICSRV_OK && asked->revocations) result = check_list(asked->revocations, &asked->expected, &license);
    bool has_ended = asked->expected.now - LICSRV_LEEWAY >= licsrv_license_end(&license, &lease);
    if (result != LICSRV_OK) return result;
    return has_ended ? LICSRV_EXPIRED : needs_seat ? LICSRV_NEEDS_SEAT : LICSRV_OK;
}

static licsrv_result apply(const request *asked, licsrv_revocations *held) {
    licsrv_revocations update, updated;
    subject loaded = load(asked->update);
    licsrv_result result =
        licsrv_verify_revocations(loaded.bytes, loaded.length, &asked->expected, loaded.space, &update);
    if (result != LICSRV_OK) return result;
    licsrv_workspace space = {NULL, LICSRV_APPLY_WORKSPACE(held, &update)};
    space.memory = malloc(space.size);
    result = licsrv_apply_revocations(held, &update, space, &updated);
    if (result == LICSRV_OK) *held = updated;
    return result;
}

static licsrv_result verify_list(request *asked) {
    licsrv_revocations list;
    subject loaded = load(asked->subject);
    licsrv_result result =
        licsrv_verify_revocations(loaded.bytes, loaded.length, &asked->expected, loaded.space, &list);
    if (result == LICSRV_OK && asked->update != NULL) result = apply(asked, &list);
    if (result == LICSRV_OK) print_revocations(&list);
    return result;
}

static licsrv_result show_device(const char *text) {
    lsv_span parts[4];
    if (!lsv_split_device(text, parts)) return LICSRV_DEVICE_INFO;
    print_normal_form(parts);
    return LICSRV_OK;
}

static licsrv_result identify(const request *asked) {
    static const char *const TROUBLES[] = {"", "NOT_KEPT", "COPIED"};
    char text[LICSRV_MAXIMUM_DEVICE_INFO + 1];
    licsrv_identified trouble = licsrv_identify(asked->store, asked->subject, asked->machine, text);
    printf(",\"device\":");
    print_string(lsv_span_of(text));
    printf(",\"weak\":%s,\"trouble\":\"%s\"", licsrv_is_weak_device(asked->subject) ? "true" : "false",
           TROUBLES[trouble]);
    return LICSRV_OK;
}

static licsrv_result run(request *asked) {
    if (strcmp(asked->command, "device") == 0) return show_device(asked->subject);
    if (strcmp(asked->command, "identity") == 0) return identify(asked);
    read_expected(asked);
    if (strcmp(asked->command, "revocations") == 0) return verify_list(asked);
    if (asked->expected.device_info == NULL) fail("--device is missing.");
    if (strcmp(asked->command, "string") == 0) return verify_license(asked, false);
    if (strcmp(asked->command, "file") == 0) return verify_license(asked, true);
    if (strcmp(asked->command, "lease") == 0) return verify_lease(asked);
    fail("the command is not known.");
    return LICSRV_ARGUMENT;
}

int main(int count, char **arguments) {
    static request asked;
    read_arguments(&asked, count, arguments);
    printf("{\"about\":");
    print_string(lsv_span_of(asked.command));
    licsrv_result result = run(&asked);
    printf(",\"verdict\":\"%s\"}\n", licsrv_result_name(result));
    return result == LICSRV_OK ? 0 : 1;
}
