#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Double the room until the file ends: standard input does not say how long it is. */
static char *read_all(FILE *file, size_t *length) {
    size_t room = 65536;
    char *bytes = malloc(room);
    *length = 0;
    while (bytes != NULL) {
        *length += fread(bytes + *length, 1, room - 1 - *length, file);
        if (*length < room - 1) break;
        char *larger = room > MAXIMUM_BYTES ? NULL : realloc(bytes, room *= 2);
        if (larger == NULL) free(bytes);
        bytes = larger;
    }
    if (bytes != NULL) bytes[*length] = '\0';
    return bytes;
}

char *read_bytes(const char *path, size_t *length) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *bytes;
    if (file == NULL) return NULL;
    bytes = read_all(file, length);
    if (bytes != NULL && ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    if (file != stdin) fclose(file);
    return bytes;
}
