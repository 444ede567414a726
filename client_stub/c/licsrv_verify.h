/*
 * licsrv_verify - believe licenses of a licsrv server in a desktop program, without network.
 *
 * Verifies license strings, license files, leases and revocation lists with nothing but public keys that are built into
 * the program and the arguments of the call; recognises the machine that a license was issued for. It opens no file,
 * asks no clock, keeps no global state and allocates no memory of its own (libcrypto does, for the moment of a call):
 * every function may run on any thread, several at once.
 *
 * What it does not do: gather device facts, or talk to a server. machine/ keeps an install identity in a folder.
 *
 * Needs C11 and libcrypto of OpenSSL 1.1.1 or newer. The second (ML-DSA-65) signature that a license file may carry is
 * verified where second keys are pinned, which needs a libcrypto of 3.5 or newer when the program runs
 * (licsrv_has_ml_dsa). Without second keys its form and digest are checked: the Ed25519 signature covers the digest, so
 * the second signature can be neither taken away nor exchanged.
 *
 * ---------------------------------------------------------------------------------------------------------------
 *   static const licsrv_key KEYS[] = {{"<key id>", LICSRV_FOR_LICENSES, {0x1f, ...}}, {"...", LICSRV_FOR_LEASES, {...}}};
 *
 *   licsrv_expected expected = {.keys = KEYS, .key_count = 2, .now = (int64_t)time(NULL), .device_info = device,
 *                               .issuer = "https://license.example", .product = "cad"};
 *   licsrv_workspace space = {malloc(LICSRV_TEXT_WORKSPACE), LICSRV_TEXT_WORKSPACE};
 *   licsrv_license license;
 *   if (licsrv_verify_string(text, strlen(text), &expected, space, &license) == LICSRV_OK) { ... }
 * ---------------------------------------------------------------------------------------------------------------
 *
 * Strict on purpose: one spelling of base64 and base64url, no JSON member twice, no lone surrogate, integers only,
 * headers without spare members. Stricter than other verifiers of these formats in two places that no server of ours
 * reaches: JSON is nested 32 deep at most, and a text that the program reads holds no U+0000.
 */
#ifndef LICSRV_VERIFY_H
#define LICSRV_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call found. Numbers and names stay; new ones come at the end. */
typedef enum licsrv_result {
    LICSRV_OK = 0,
    LICSRV_INVALID = 1,       /* damaged, forged, of another kind, or signed with a key that is not pinned for it */
    LICSRV_WRONG_ISSUER = 2,  /* good, but from another issuer than expected */
    LICSRV_WRONG_PRODUCT = 3, /* good, but for another product */
    LICSRV_DEVICE_INFO = 4,   /* the device text of this machine is not MAC|disk|board|CPU of at most 5 KiB */
    LICSRV_WRONG_DEVICE = 5,  /* good, but issued for another machine; licsrv_match_device says which parts agree */
    LICSRV_NOT_YET = 6,       /* good, but begins later than `now` */
    LICSRV_EXPIRED = 7,       /* good, but has ended */
    LICSRV_FOREIGN_LEASE = 8, /* a lease of another license */
    LICSRV_WRONG_NONCE = 9,   /* a lease that answers another question than ours */
    LICSRV_LEASE_ENDED = 10,  /* a lease that was not renewed in time */
    LICSRV_REVOKED = 11,      /* named in the revocation list */
    LICSRV_ROLLED_BACK = 12,  /* a revocation list older than the one that is held: keep the held one */
    LICSRV_NEEDS_FULL = 13,   /* a change of another revocation list than the held one: get the full list */
    LICSRV_MEMORY = 14,       /* the workspace is too small */
    LICSRV_ARGUMENT = 15,     /* the program called wrongly: a null, a damaged pinned key, a moment out of range */
    LICSRV_UNAVAILABLE = 16,  /* libcrypto has no Ed25519, SHA-256 or, with second keys, ML-DSA-65: too old, or a policy */
    LICSRV_UNREADABLE = 17,   /* a license file whose text was changed on its way, as by mail: have it sent zipped */
    LICSRV_NEEDS_SEAT = 18    /* good, but floating: each running program needs a seat, which this library does not take */
} licsrv_result;

#define LICSRV_KEY_ID_CHARACTERS 16
#define LICSRV_PUBLIC_KEY_BYTES 32
#define LICSRV_SECOND_KEY_BYTES 1952     /* of ML-DSA-65 (FIPS 204) */
#define LICSRV_MAXIMUM_STRING 1024       /* characters of a license string */
#define LICSRV_MAXIMUM_LEASE 8192        /* characters of a lease */
#define LICSRV_MAXIMUM_FILE 65536        /* bytes of a license file */
#define LICSRV_MAXIMUM_LIST 16777216     /* characters of a revocation list; 100,000 entries are about 933,000 */
#define LICSRV_MAXIMUM_DEVICE_INFO 5120  /* bytes of a device text */
#define LICSRV_LEEWAY 300                /* seconds that clocks may differ */
#define LICSRV_GRACE 604800              /* seconds by which a lease may move the end of a license */
#define LICSRV_NEVER INT64_MAX           /* the end of what never ends */

/* Memory for one call. What a result points to lives in it: keep it as long as the result, then free it. */
typedef struct licsrv_workspace {
    void *memory;
    size_t size;
} licsrv_workspace;

#define LICSRV_TEXT_WORKSPACE ((size_t)65536)  /* enough for every license string and every lease */
#define LICSRV_FILE_WORKSPACE ((size_t)524288) /* enough for every license file */
#define LICSRV_LIST_WORKSPACE(characters) ((size_t)(characters) + 16384) /* enough for a list of so many characters */
#define LICSRV_APPLY_WORKSPACE(held, update) (((held)->add_count + (update)->add_count) * 7 + 64)

/* What a key may sign. A lease key cannot make licenses. */
typedef enum licsrv_purpose {
    LICSRV_FOR_LICENSES = 1, /* strings, files, revocation lists */
    LICSRV_FOR_LEASES = 2,
    LICSRV_FOR_RELEASES = 3 /* known, so that a whole key set can be pinned; nothing here is verified with it */
} licsrv_purpose;

/* A pinned Ed25519 key. `key_id` is derived from the key (licsrv_key_id); another one is LICSRV_ARGUMENT. */
typedef struct licsrv_key {
    char key_id[LICSRV_KEY_ID_CHARACTERS + 1];
    licsrv_purpose purpose;
    unsigned char public_key[LICSRV_PUBLIC_KEY_BYTES];
} licsrv_key;

/* A pinned ML-DSA-65 key for the second signature of license files; `key_id` as above (licsrv_second_key_id). */
typedef struct licsrv_second_key {
    char key_id[LICSRV_KEY_ID_CHARACTERS + 1];
    unsigned char public_key[LICSRV_SECOND_KEY_BYTES];
} licsrv_second_key;

/* UTF-8 inside the workspace; data[length] is NUL. An absent optional text has length 0. */
typedef struct licsrv_text {
    const char *data;
    size_t length;
} licsrv_text;

/*
 * What the program expects. `now` is Unix seconds, UTC. `issuer` and `product`: NULL takes any. A license is for `product`
 * when that is what it signs, its present name, or one of the other names that it lists.
 */
typedef struct licsrv_expected {
    const licsrv_key *keys;
    size_t key_count;
    int64_t now;
    const char *device_info; /* MAC|disk|board|CPU in UTF-8, as it was sent to the server; needed for licenses */
    const char *issuer;
    const char *product;
    const licsrv_second_key *second_keys; /* with any, every second signature has to be good and of one of them */
    size_t second_key_count;
    bool require_both; /* refuse files with one signature; needs second keys */
    const char *const *other_products; /* taken as well as `product`: ids of other ways of buying it, former names */
    size_t other_product_count;
} licsrv_expected;

/* A license whose signature is good. Moments are Unix seconds; LICSRV_NEVER where there is no end. */
typedef struct licsrv_license {
    licsrv_text issuer;
    licsrv_text string_id; /* jti: of this very string or file */
    licsrv_text license_id;
    licsrv_text code;
    licsrv_text product; /* empty in a provisional license whose product is not known yet */
    licsrv_text order_id;
    licsrv_text file_name;
    licsrv_text product_name; /* for people; it may change. `product` stays */
    int64_t issued_at;
    int64_t not_before;
    int64_t expires_at;
    int64_t maintenance_until; /* releases up to this moment are covered */
    uint32_t quantity;
    size_t feature_count;
    bool is_test;
    bool is_provisional;
    bool is_floating;          /* each running program needs a seat as well */
    bool has_second_signature; /* files only; verified where second keys are pinned, else its digest alone */
    struct {                   /* for this library only */
        const char *text;
        const void *nodes;
        uint32_t features;
        uint32_t device;
        uint32_t names;
        uint32_t entitlements;
        int64_t now;
    } inside;
} licsrv_license;

typedef enum licsrv_status {
    LICSRV_STATUS_ACTIVE = 1,
    LICSRV_STATUS_EXPIRED = 2,
    LICSRV_STATUS_FROZEN = 3,
    LICSRV_STATUS_REVOKED = 4,
    LICSRV_STATUS_RELEASED = 5
} licsrv_status;

/* A lease whose signature is good. It may well say that the license is revoked: look at `status`. */
typedef struct licsrv_lease {
    licsrv_text issuer;
    licsrv_text license_id;
    licsrv_text string_id;
    licsrv_text reason;
    licsrv_status status;
    int64_t issued_at;
    int64_t expires_at;
    int64_t next_heartbeat_at;
    int64_t license_expires_at;
} licsrv_lease;

/* A revocation list, or a change of one. `add` and `remove` are 7 byte entries, ascending, inside the workspace. */
typedef struct licsrv_revocations {
    int64_t number;
    int64_t since; /* 0: a full list; else a change of the list of this number */
    int64_t issued_at;
    const unsigned char *add;
    size_t add_count;
    const unsigned char *remove;
    size_t remove_count;
} licsrv_revocations;

typedef enum licsrv_part {
    LICSRV_PART_ABSENT = 0, /* at least one of the two has no value here */
    LICSRV_PART_MATCHES = 1,
    LICSRV_PART_DIFFERS = 2
} licsrv_part;

/* How this machine compares with the one of the license: MAC, disk, board, CPU. */
typedef struct licsrv_match {
    licsrv_part parts[4];
    int agreeing; /* weights: MAC, disk and board count 2, the CPU 1 */
    int required; /* 4, or all that the license knows where that is less; never the CPU alone */
    bool is_same_machine;
} licsrv_match;

/*
 * Believe a license string, or say why not. Checked in this order: form and signature, claims, issuer, product, device,
 * begin (now >= nbf - LICSRV_LEEWAY), end (now < exp + LICSRV_LEEWAY), and that it is not floating.
 *
 * `license` is filled in when the signature is good, so also with WRONG_DEVICE, NOT_YET, EXPIRED and the like: a program
 * can name the license that has ended. It is all zero with INVALID, UNREADABLE, MEMORY, ARGUMENT and
 * UNAVAILABLE.
 */
licsrv_result licsrv_verify_string(const char *text, size_t length, const licsrv_expected *expected,
                                   licsrv_workspace workspace, licsrv_license *license);

/* Believe a license file, given as its bytes. As licsrv_verify_string; needs LICSRV_FILE_WORKSPACE. */
licsrv_result licsrv_verify_file(const void *bytes, size_t length, const licsrv_expected *expected,
                                 licsrv_workspace workspace, licsrv_license *license);

/*
 * Believe the answer to a heartbeat. Checked in this order: form and signature, claims, that it belongs to `license`,
 * that it answers `nonce`, that it has not ended (now < exp + LICSRV_LEEWAY). Of `expected` only keys and `now` count.
 * `lease` is filled in as `license` is in licsrv_verify_string.
 */
licsrv_result licsrv_verify_lease(const char *text, size_t length, const licsrv_expected *expected,
                                  const licsrv_license *license, const char *nonce, licsrv_workspace workspace,
                                  licsrv_lease *lease);

/*
 * Return when a license ends: by a verified lease of it that is not older, if there is one (else NULL), but at most
 * LICSRV_GRACE after its own end. Beyond that only a license counts: a stolen lease key must not be worth more.
 */
int64_t licsrv_license_end(const licsrv_license *license, const licsrv_lease *lease);

/* Believe a revocation list. Of `expected` only keys and issuer count: a list has no end. */
licsrv_result licsrv_verify_revocations(const char *text, size_t length, const licsrv_expected *expected,
                                        licsrv_workspace workspace, licsrv_revocations *list);

/*
 * Bring the held list up to date with a verified one: a full list replaces it, a change is applied to it. A program
 * that holds none passes {0}; one of the same number changes nothing. `updated` points into `workspace`, not into its sources.
 * ROLLED_BACK, NEEDS_FULL: keep what is held.
 */
licsrv_result licsrv_apply_revocations(const licsrv_revocations *held, const licsrv_revocations *update,
                                       licsrv_workspace workspace, licsrv_revocations *updated);

/*
 * Look a license up by its license_id and its string_id: LICSRV_REVOKED when either is in a full list, unless the
 * license is younger than the list; else LICSRV_OK. No lease lifts a listed revocation.
 */
licsrv_result licsrv_check_revocation(const licsrv_revocations *list, const licsrv_license *license);

/* Compare this machine with the one of the license: LICSRV_OK, LICSRV_WRONG_DEVICE or LICSRV_DEVICE_INFO. */
licsrv_result licsrv_match_device(const licsrv_license *license, const char *device_info, licsrv_match *match);

/*
 * The install identity: a random part for a machine that is weak, which means that its text names nothing of its own but
 * a CPU, as in a container. It is kept in a file of the program, `install-identity`, and named among the disks. The
 * server binds a place to it where the vendor allows that for the product. Verify with the text that names it.
 * machine/install_identity.h does all of this with a folder.
 *
 * `random` is LICSRV_IDENTITY_RANDOM_BYTES from a generator that is good for keys. `machine_name` is what the system calls
 * this machine (/etc/machine-id, MachineGuid), NULL or empty where it has no name; only a keyed hash of it is kept.
 */
#define LICSRV_IDENTITY_CHARACTERS 40
#define LICSRV_IDENTITY_CONTENT 82 /* characters of a file at most */
#define LICSRV_IDENTITY_RANDOM_BYTES 16

/* Whether a device text names nothing of its own; false where it cannot be read. */
bool licsrv_is_weak_device(const char *device_info);

/* Write what a new file says, and NUL. */
licsrv_result licsrv_make_identity(const unsigned char random[LICSRV_IDENTITY_RANDOM_BYTES], const char *machine_name,
                                   char content[LICSRV_IDENTITY_CONTENT + 1]);

/*
 * Read the identity out of a file's bytes: OK, INVALID when there is none, WRONG_DEVICE when the file was copied from
 * another machine (make a new one in both cases). A file that cannot be read is not known to be damaged: keep it.
 */
licsrv_result licsrv_read_identity(const char *content, size_t length, const char *machine_name,
                                   char identity[LICSRV_IDENTITY_CHARACTERS + 1]);

/* Write a device text with the identity among its disks, and NUL; as it is where it would be too long, or is none. */
licsrv_result licsrv_name_identity(const char *device_info, const char *identity, char *out, size_t size);

/*
 * Return a feature by its position below feature_count (an empty text above); and whether one is granted at the `now` of
 * the verification. A feature may have a value and an end of its own; one that cannot be read is not granted. `value`
 * may be NULL; it is empty without a value. Features with an end of their own are not counted.
 */
licsrv_text licsrv_feature(const licsrv_license *license, size_t position);
bool licsrv_has_feature(const licsrv_license *license, const char *feature);
bool licsrv_feature_value(const licsrv_license *license, const char *feature, licsrv_text *value);

/* Write the key id that belongs to a key: 16 characters of its RFC 7638 thumbprint, and NUL. */
licsrv_result licsrv_key_id(const unsigned char public_key[LICSRV_PUBLIC_KEY_BYTES],
                            char key_id[LICSRV_KEY_ID_CHARACTERS + 1]);

/* The same for an ML-DSA-65 key, and whether the libcrypto that the program runs with can verify such signatures. */
licsrv_result licsrv_second_key_id(const unsigned char public_key[LICSRV_SECOND_KEY_BYTES],
                                   char key_id[LICSRV_KEY_ID_CHARACTERS + 1]);
bool licsrv_has_ml_dsa(void);

/* Return the name of a result without its prefix ("WRONG_DEVICE"), of a status ("ACTIVE"). Never NULL. */
const char *licsrv_result_name(licsrv_result result);
const char *licsrv_status_name(licsrv_status status);

#ifdef __cplusplus
}
#endif

#endif
