/* JWS in compact serialization (RFC 7515), more strictly than the RFC asks for. */
#include "internal.h"

#define MAXIMUM_HEADER 512      /* characters; ours have about a hundred */
#define SIGNATURE_CHARACTERS 86 /* of 64 bytes */

licsrv_result lsv_decode_part(lsv_span part, lsv_arena *arena, lsv_span *decoded) {
    size_t length;
    unsigned char *raw = lsv_take(arena, part.length / 4 * 3 + 4);
    if (raw == NULL) return LICSRV_MEMORY;
    LSV_DEMAND(lsv_base64url_decode(part, raw, &length));
    raw[length] = '\0';
    *decoded = (lsv_span){(const char *)raw, length};
    return LICSRV_OK;
}

licsrv_result lsv_read_json(lsv_span text, lsv_arena *arena, lsv_json *json) {
    uint32_t capacity = (uint32_t)LSV_NODES_FOR(text.length);
    lsv_node *nodes = lsv_take(arena, capacity * sizeof(lsv_node));
    if (nodes == NULL) return LICSRV_MEMORY;
    /* The text is in the workspace, which we may write to; a span has lost the non-const type. */
    *json = (lsv_json){(char *)(uintptr_t)text.data, (uint32_t)text.length, nodes, 0, capacity};
    LSV_DEMAND(lsv_json_read(json) && lsv_json_is(json, 0, LSV_OBJECT));
    return LICSRV_OK;
}

/* The header is exactly alg, kid and typ: a member to spare, such as crit, would ask for something we do not know. */
static licsrv_result read_header(const lsv_json *header, const lsv_kind *kind, lsv_span *key_id) {
    uint32_t algorithm = lsv_json_member(header, 0, "alg"), type = lsv_json_member(header, 0, "typ");
    uint32_t key = lsv_json_member(header, 0, "kid");
    LSV_DEMAND(header->nodes[0].length == 3 && algorithm != 0 && type != 0 && key != 0);
    LSV_DEMAND(lsv_json_equals(header, algorithm, "EdDSA") && lsv_json_equals(header, type, kind->type));
    LSV_DEMAND(lsv_json_is(header, key, LSV_STRING));
    *key_id = (lsv_span){header->text + header->nodes[key].start, header->nodes[key].length};
    return LICSRV_OK;
}

static licsrv_result split(lsv_span text, lsv_span parts[3], lsv_span *signed_part) {
    lsv_span rest = text;
    parts[0] = lsv_until(&rest, '.');
    LSV_DEMAND(lsv_skip(&rest, "."));
    parts[1] = lsv_until(&rest, '.');
    *signed_part = (lsv_span){text.data, text.length - rest.length};
    LSV_DEMAND(lsv_skip(&rest, "."));
    parts[2] = rest; /* a fourth part would bring a dot along, which base64url does not have */
    return parts[0].length <= MAXIMUM_HEADER && rest.length == SIGNATURE_CHARACTERS ? LICSRV_OK : LICSRV_INVALID;
}

licsrv_result lsv_open_compact(lsv_span text, const lsv_kind *kind, const licsrv_expected *expected, lsv_arena *arena,
                               lsv_span *payload) {
    lsv_span parts[3], signed_part, header_text, signature, key_id;
    lsv_json header;
    LSV_DEMAND(text.length <= kind->maximum);
    LSV_TRY(split(text, parts, &signed_part));
    LSV_TRY(lsv_decode_part(parts[1], arena, payload));
    lsv_arena passing = *arena; /* header and signature are done with when this function returns */
    LSV_TRY(lsv_decode_part(parts[0], &passing, &header_text));
    LSV_TRY(lsv_decode_part(parts[2], &passing, &signature));

    LSV_TRY(lsv_read_json(header_text, &passing, &header));
    LSV_TRY(read_header(&header, kind, &key_id));
    return lsv_check_signature(expected, key_id, kind->purpose, signed_part, signature);
}
