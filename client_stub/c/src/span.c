/* Stretches of bytes and the workspace: compare, step over, take. */
#include "internal.h"

#include <string.h>

lsv_arena lsv_arena_of(licsrv_workspace workspace) {
    return (lsv_arena){workspace.memory, workspace.memory == NULL ? 0 : workspace.size};
}

void *lsv_take(lsv_arena *arena, size_t size) {
    size_t gap = (size_t)(-(uintptr_t)arena->next & (sizeof(uint64_t) - 1));
    if (arena->left < gap || arena->left - gap < size) return NULL;
    void *taken = arena->next + gap;
    arena->next += gap + size;
    arena->left -= gap + size;
    return taken;
}

lsv_span lsv_span_of(const char *text) {
    return (lsv_span){text, strlen(text)};
}

bool lsv_equals(lsv_span span, const char *text) {
    return span.length == strlen(text) && (span.length == 0 || memcmp(span.data, text, span.length) == 0);
}

bool lsv_same_text(licsrv_text one, licsrv_text other) {
    return one.length == other.length && (one.length == 0 || memcmp(one.data, other.data, one.length) == 0);
}

bool lsv_skip(lsv_span *rest, const char *expected) {
    size_t length = strlen(expected);
    if (rest->length < length || memcmp(rest->data, expected, length) != 0) return false;
    rest->data += length;
    rest->length -= length;
    return true;
}

lsv_span lsv_until(lsv_span *rest, char end) {
    const char *found = rest->length ? memchr(rest->data, end, rest->length) : NULL;
    lsv_span taken = {rest->data, found ? (size_t)(found - rest->data) : rest->length};
    rest->data += taken.length;
    rest->length -= taken.length;
    return taken;
}
