/* Everything that needs libcrypto: SHA-256, HMAC, Ed25519, ML-DSA-65, and the key ids that are derived from keys. */
#include "internal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

licsrv_result lsv_sha256(lsv_span first, lsv_span second, unsigned char digest[LSV_DIGEST_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(context, first.data, first.length) == 1 &&
                   EVP_DigestUpdate(context, second.data, second.length) == 1 &&
                   EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return is_done ? LICSRV_OK : LICSRV_UNAVAILABLE;
}

licsrv_result lsv_hmac(lsv_span key, lsv_span message, unsigned char digest[LSV_DIGEST_BYTES]) {
    unsigned int length = LSV_DIGEST_BYTES;
    const unsigned char *data = (const unsigned char *)message.data;
    unsigned char *made = HMAC(EVP_sha256(), key.data, (int)key.length, data, message.length, digest, &length);
    return made != NULL ? LICSRV_OK : LICSRV_UNAVAILABLE;
}

bool lsv_equal_in_constant_time(lsv_span one, lsv_span other) {
    return one.length == other.length && CRYPTO_memcmp(one.data, other.data, one.length) == 0;
}

/* RFC 7638: the members that the thumbprint demands, in their order, around the key itself. */
static licsrv_result thumbprint(const char *head, const unsigned char *public_key, size_t length, char *json,
                                char key_id[LICSRV_KEY_ID_CHARACTERS + 1]) {
    char encoded[44];
    unsigned char digest[LSV_DIGEST_BYTES];
    strcpy(json, head);
    lsv_base64url_encode(public_key, length, json + strlen(head));
    strcat(json, "\"}");
    LSV_TRY(lsv_sha256(lsv_span_of(json), lsv_span_of(""), digest));
    lsv_base64url_encode(digest, LSV_DIGEST_BYTES, encoded);
    memcpy(key_id, encoded, LICSRV_KEY_ID_CHARACTERS);
    key_id[LICSRV_KEY_ID_CHARACTERS] = '\0';
    return LICSRV_OK;
}

licsrv_result licsrv_key_id(const unsigned char public_key[LICSRV_PUBLIC_KEY_BYTES],
                            char key_id[LICSRV_KEY_ID_CHARACTERS + 1]) {
    char json[128];
    if (public_key == NULL || key_id == NULL) return LICSRV_ARGUMENT;
    /* An OKP key, RFC 8037. */
    return thumbprint("{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"", public_key, LICSRV_PUBLIC_KEY_BYTES, json, key_id);
}

licsrv_result licsrv_second_key_id(const unsigned char public_key[LICSRV_SECOND_KEY_BYTES],
                                   char key_id[LICSRV_KEY_ID_CHARACTERS + 1]) {
    char json[LICSRV_SECOND_KEY_BYTES / 3 * 4 + 128];
    if (public_key == NULL || key_id == NULL) return LICSRV_ARGUMENT;
    /* An AKP key, RFC 9964. */
    return thumbprint("{\"alg\":\"ML-DSA-65\",\"kty\":\"AKP\",\"pub\":\"", public_key, LICSRV_SECOND_KEY_BYTES, json,
                      key_id);
}

/* A key that was exchanged under its old id is noticed here, and it is the program's mistake, not the license's. */
static licsrv_result check_pinned(const licsrv_key *key) {
    char derived[LICSRV_KEY_ID_CHARACTERS + 1];
    LSV_TRY(licsrv_key_id(key->public_key, derived));
    return memcmp(key->key_id, derived, sizeof derived) == 0 ? LICSRV_OK : LICSRV_ARGUMENT;
}

static licsrv_result find_key(const licsrv_expected *expected, lsv_span key_id, licsrv_purpose purpose,
                              const licsrv_key **found) {
    *found = NULL;
    for (size_t index = 0; index < expected->key_count; index++) {
        const licsrv_key *key = &expected->keys[index];
        if (key_id.length != LICSRV_KEY_ID_CHARACTERS || memcmp(key->key_id, key_id.data, key_id.length) != 0) continue;
        if (*found != NULL) return LICSRV_ARGUMENT; /* one id twice: which purpose counts would depend on the order */
        *found = key;
    }
    LSV_DEMAND(*found != NULL && (*found)->purpose == purpose);
    return check_pinned(*found);
}

static licsrv_result verify(EVP_MD_CTX *context, EVP_PKEY *key, lsv_span message, lsv_span signature) {
    const unsigned char *data = (const unsigned char *)message.data, *seal = (const unsigned char *)signature.data;
    if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1) return LICSRV_UNAVAILABLE;
    return EVP_DigestVerify(context, seal, signature.length, data, message.length) == 1 ? LICSRV_OK : LICSRV_INVALID;
}

/* Verify with a key that is given away; NULL is one that libcrypto does not know. */
static licsrv_result verify_with(EVP_PKEY *key, lsv_span message, lsv_span signature) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    licsrv_result result = LICSRV_UNAVAILABLE;
    if (key != NULL && context != NULL) result = verify(context, key, message, signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}

static EVP_PKEY *ed25519_key(const licsrv_key *key) {
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->public_key, LICSRV_PUBLIC_KEY_BYTES);
}

licsrv_result lsv_check_signature(const licsrv_expected *expected, lsv_span key_id, licsrv_purpose purpose,
                                  lsv_span message, lsv_span signature) {
    const licsrv_key *key;
    LSV_TRY(find_key(expected, key_id, purpose, &key));
    LSV_DEMAND(signature.length == LSV_SIGNATURE_BYTES);
    ERR_set_mark(); /* a bad signature is an answer, not an entry in the program's queue of errors */
    licsrv_result result = verify_with(ed25519_key(key), message, signature);
    ERR_pop_to_mark();
    return result;
}

/*
 * ML-DSA-65 is asked for by its name, so a library that was built with the headers of 3.0 verifies it where the program
 * runs with 3.5. Older libraries do not know how to be asked, or do not know the name.
 */
static EVP_PKEY *ml_dsa_key(const unsigned char public_key[LICSRV_SECOND_KEY_BYTES]) {
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
    return EVP_PKEY_new_raw_public_key_ex(NULL, "ML-DSA-65", NULL, public_key, LICSRV_SECOND_KEY_BYTES);
#else
    (void)public_key;
    return NULL;
#endif
}

bool licsrv_has_ml_dsa(void) {
    static const unsigned char ANY_KEY[LICSRV_SECOND_KEY_BYTES];
    ERR_set_mark();
    EVP_PKEY *key = ml_dsa_key(ANY_KEY);
    ERR_pop_to_mark();
    EVP_PKEY_free(key);
    return key != NULL;
}

static licsrv_result find_second_key(const licsrv_expected *expected, lsv_span key_id, const licsrv_second_key **found) {
    char derived[LICSRV_KEY_ID_CHARACTERS + 1];
    *found = NULL;
    for (size_t index = 0; index < expected->second_key_count && *found == NULL; index++) {
        const licsrv_second_key *key = &expected->second_keys[index];
        if (memcmp(key->key_id, key_id.data, LICSRV_KEY_ID_CHARACTERS) == 0) *found = key;
    }
    LSV_DEMAND(*found != NULL);
    LSV_TRY(licsrv_second_key_id((*found)->public_key, derived));
    return memcmp((*found)->key_id, derived, sizeof derived) == 0 ? LICSRV_OK : LICSRV_ARGUMENT;
}

licsrv_result lsv_check_second_signature(const licsrv_expected *expected, lsv_span key_id, lsv_span message,
                                         lsv_span signature) {
    const licsrv_second_key *key;
    LSV_DEMAND(key_id.length == LICSRV_KEY_ID_CHARACTERS);
    LSV_TRY(find_second_key(expected, key_id, &key));
    ERR_set_mark();
    licsrv_result result = verify_with(ml_dsa_key(key->public_key), message, signature);
    ERR_pop_to_mark();
    return result;
}
