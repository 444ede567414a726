/*
 * Changes good texts in every way that one byte allows, and at random, and demands that none of the results is believed.
 *
 *   mutate JWKS NOW DEVICE NONCE LICENSE ROUNDS (string|file|lease|revocations|claims|device FILE)...
 *
 * Claims are only reached behind a good signature, so they and device texts are also read alone, whatever comes out.
 *
 * Meant to run under sanitizers: every text lies in memory of exactly its size, and so does every workspace. Prints how
 * many texts were tried; exits with 1 at the first one that is believed. The random numbers are the same each time.
 */
#include "../src/internal.h"
#include "../tool/bytes.h"
#include "../tool/jwks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAXIMUM_KEYS 64

typedef struct seed {
    const char *kind;
    char *bytes;
    size_t length;
} seed;

/* What stays the same for every text. */
typedef struct bench {
    licsrv_key keys[MAXIMUM_KEYS];
    licsrv_expected expected;
    licsrv_license license;
    const char *nonce;
    uint64_t state;
    unsigned long tried;
} bench;

static void give_up(const char *sentence) {
    fprintf(stderr, "mutate: %s\n", sentence);
    exit(1);
}

/* xorshift64*, because rand() differs between machines. */
static uint32_t next_number(bench *on) {
    on->state ^= on->state >> 12;
    on->state ^= on->state << 25;
    on->state ^= on->state >> 27;
    return (uint32_t)(on->state * UINT64_C(2685821657736338717) >> 32);
}

static void *exactly(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (memory == NULL) give_up("there is not enough memory.");
    return memory;
}

static licsrv_result believe(bench *on, const char *kind, const char *bytes, size_t length, licsrv_workspace space) {
    licsrv_license license;
    licsrv_lease lease;
    licsrv_revocations list;
    if (strcmp(kind, "string") == 0) return licsrv_verify_string(bytes, length, &on->expected, space, &license);
    if (strcmp(kind, "file") == 0) return licsrv_verify_file(bytes, length, &on->expected, space, &license);
    if (strcmp(kind, "revocations") == 0) return licsrv_verify_revocations(bytes, length, &on->expected, space, &list);
    return licsrv_verify_lease(bytes, length, &on->expected, &on->license, on->nonce, space, &lease);
}

static licsrv_result try_text(bench *on, const char *kind, const char *bytes, size_t length, size_t room) {
    char *copy = exactly(length);
    licsrv_workspace space = {exactly(room), room};
    memcpy(copy, bytes, length);
    licsrv_result result = believe(on, kind, copy, length, space);
    free(space.memory);
    free(copy);
    on->tried++;
    return result;
}

static void refuse(bench *on, const seed *from, const char *bytes, size_t length) {
    licsrv_result result = try_text(on, from->kind, bytes, length, LICSRV_FILE_WORKSPACE);
    if (result == LICSRV_INVALID || result == LICSRV_UNREADABLE) return;
    fprintf(stderr, "mutate: a changed %s is %s:\n", from->kind, licsrv_result_name(result));
    fwrite(bytes, 1, length, stderr);
    exit(1);
}

static void change_every_byte(bench *on, const seed *from) {
    static const unsigned char masks[] = {0x01, 0x20, 0x80};
    for (size_t at = 0; at < from->length; at++) {
        for (size_t mask = 0; mask < sizeof masks; mask++) {
            from->bytes[at] = (char)(from->bytes[at] ^ masks[mask]);
            refuse(on, from, from->bytes, from->length);
            from->bytes[at] = (char)(from->bytes[at] ^ masks[mask]);
        }
    }
}

static void cut_everywhere(bench *on, const seed *from) {
    for (size_t length = 0; length < from->length; length++) refuse(on, from, from->bytes, length);
}

/* Every size of workspace up to the first that is enough: too little memory is an answer, not a crash. */
static void starve(bench *on, const seed *from) {
    size_t room = 0;
    licsrv_result result = LICSRV_MEMORY;
    for (; result == LICSRV_MEMORY && room < LICSRV_FILE_WORKSPACE; room += 1 + room / 16) {
        result = try_text(on, from->kind, from->bytes, from->length, room);
    }
    if (result != LICSRV_OK) give_up("a good text is not believed.");
}

/* Replace, insert or take away a few bytes. */
static size_t mutate(bench *on, char *bytes, size_t length) {
    static const char likely[] = "\n\r\"{}[],:.=#-\\AZaz09+/_ ";
    uint32_t changes = 1 + next_number(on) % 4;
    while (changes-- > 0 && length > 1) {
        size_t at = next_number(on) % length, count = 1 + next_number(on) % 8;
        switch (next_number(on) % 4) {
            case 0: bytes[at] = (char)next_number(on); break;
            case 1: bytes[at] = likely[next_number(on) % (sizeof likely - 1)]; break;
            case 2:
                memmove(bytes + at + count, bytes + at, length - at);
                length += count;
                break;
            default:
                if (count > length - at) count = length - at;
                memmove(bytes + at, bytes + at + count, length - at - count);
                length -= count;
        }
    }
    return length;
}

static void change_at_random(bench *on, const seed *from, long rounds) {
    char *scratch = exactly(from->length + 64);
    for (; rounds > 0; rounds--) {
        memcpy(scratch, from->bytes, from->length);
        size_t length = mutate(on, scratch, from->length);
        if (length == from->length && memcmp(scratch, from->bytes, length) == 0) continue;
        refuse(on, from, scratch, length);
    }
    free(scratch);
}

/* Read claims, and compare the machine with the one that they name, if they are a license. */
static void read_claims(bench *on, char *text, size_t length) {
    licsrv_workspace space = {exactly(LICSRV_TEXT_WORKSPACE), LICSRV_TEXT_WORKSPACE};
    lsv_arena arena = lsv_arena_of(space);
    licsrv_license license;
    lsv_json json;
    if (lsv_read_json((lsv_span){text, length}, &arena, &json) == LICSRV_OK &&
        lsv_read_license(&json, &license) == LICSRV_OK) {
        lsv_judge_license(&license, &on->expected);
        licsrv_has_feature(&license, "draw");
    }
    free(space.memory);
}

static void compare_device(bench *on, char *text) {
    licsrv_match match;
    licsrv_match_device(&on->license, text, &match);
}

static void read_at_random(bench *on, const seed *from, long rounds) {
    char *scratch = exactly(from->length + 64);
    for (; rounds > 0; rounds--, on->tried++) {
        memcpy(scratch, from->bytes, from->length);
        size_t length = mutate(on, scratch, from->length);
        char *copy = exactly(length + 1); /* both readers may write a NUL behind, or read up to it */
        memcpy(copy, scratch, length);
        copy[length] = '\0';
        if (strcmp(from->kind, "claims") == 0) read_claims(on, copy, length);
        else compare_device(on, copy);
        free(copy);
    }
    free(scratch);
}

static bool is_read_alone(const char *kind) {
    return strcmp(kind, "claims") == 0 || strcmp(kind, "device") == 0;
}

static void work_on(bench *on, const seed *from, long rounds) {
    if (is_read_alone(from->kind)) {
        read_at_random(on, from, rounds * 10);
        return;
    }
    starve(on, from);
    change_every_byte(on, from);
    cut_everywhere(on, from);
    change_at_random(on, from, rounds);
}

static void prepare(bench *on, char **arguments) {
    static licsrv_workspace space;
    size_t length;
    char *jwks = read_bytes(arguments[1], &length);
    int count = jwks ? read_jwks(jwks, length, on->keys, MAXIMUM_KEYS) : -1;
    if (count <= 0) give_up("the key set cannot be read.");
    on->expected = (licsrv_expected){.keys = on->keys, .key_count = (size_t)count, .device_info = arguments[3]};
    on->expected.now = strtoll(arguments[2], NULL, 10);
    on->nonce = arguments[4];
    on->state = 88172645463325252U;

    char *license = read_bytes(arguments[5], &length);
    space = (licsrv_workspace){exactly(LICSRV_TEXT_WORKSPACE), LICSRV_TEXT_WORKSPACE};
    if (license == NULL || licsrv_verify_string(license, length, &on->expected, space, &on->license) != LICSRV_OK) {
        give_up("the license is not believed.");
    }
    free(license); /* the result lives in the workspace, not in the text */
    free(jwks);
}

int main(int count, char **arguments) {
    static bench on;
    if (count < 9 || count % 2 == 0) give_up("JWKS NOW DEVICE NONCE LICENSE ROUNDS (KIND FILE)...");
    prepare(&on, arguments);
    for (int index = 7; index + 1 < count; index += 2) {
        seed from = {arguments[index], NULL, 0};
        from.bytes = read_bytes(arguments[index + 1], &from.length);
        if (from.bytes == NULL) give_up("a text cannot be read.");
        work_on(&on, &from, strtol(arguments[6], NULL, 10));
        free(from.bytes);
    }
    printf("%lu\n", on.tried);
    return 0;
}
