#include "install_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONTENT 256
#define MOST_PATH 4096
#define NAME_ROOM 64
#define TRIES 40 /* two seconds; a lock is held for milliseconds, unless its owner was stopped */

/* Where an identity is looked for, and what is found there. */
typedef struct search {
    char folder[MOST_PATH];
    char path[MOST_PATH];
    char name[NAME_ROOM]; /* of the machine; empty where the system gives none */
    char identity[LICSRV_IDENTITY_CHARACTERS + 1];
} search;

typedef enum origin { HERE, ELSEWHERE, DAMAGED, MISSING, UNREADABLE } origin;

static bool is_name(const char *text) {
    size_t length = strspn(text, "0123456789abcdef-");
    return text[length] == '\0' && length >= 32 && length <= 36 && strspn(text, "0-") < length;
}

static void read_name(const char *path, char name[NAME_ROOM]) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, name, NAME_ROOM - 1);
    if (file >= 0) close(file);
    name[length > 0 ? length : 0] = '\0';
    name[strcspn(name, "\r\n")] = '\0';
    for (char *letter = name; *letter != '\0'; letter++) {
        if (*letter >= 'A' && *letter <= 'Z') *letter = (char)(*letter - 'A' + 'a');
    }
    if (!is_name(name)) *name = '\0';
}

static void ask_name(const char *given, char name[NAME_ROOM]) {
    if (given != NULL) snprintf(name, NAME_ROOM, "%s", given);
    else {
        read_name("/etc/machine-id", name);
        if (*name == '\0') read_name("/var/lib/dbus/machine-id", name);
    }
}

static origin look(search *place) {
    char content[MOST_CONTENT];
    *place->identity = '\0';
    int file = open(place->path, O_RDONLY | O_CLOEXEC);
    /* What is there and cannot be read is not known to be damaged, so it is not replaced. */
    if (file < 0) return errno == ENOENT || errno == ENOTDIR ? MISSING : UNREADABLE;
    ssize_t length = read(file, content, sizeof content);
    close(file);
    if (length < 0) return UNREADABLE;
    licsrv_result result = licsrv_read_identity(content, (size_t)length, place->name, place->identity);
    if (result == LICSRV_WRONG_DEVICE) return ELSEWHERE;
    return result == LICSRV_OK ? HERE : DAMAGED;
}

static bool write_whole(int file, const char *content) {
    size_t length = strlen(content);
    return write(file, content, length) == (ssize_t)length && fsync(file) == 0;
}

static void keep_names(const char *folder) {
    int file = open(folder, O_RDONLY | O_CLOEXEC); /* a power cut keeps a file without its name otherwise */
    if (file < 0) return;
    fsync(file);
    close(file);
}

/* Put the file there whole or not at all; a good one that another program has just made is left. */
static void put(const search *place, const char *content, bool replaces) {
    char temporary[MOST_PATH + 16];
    snprintf(temporary, sizeof temporary, "%s/.license.XXXXXX", place->folder);
    int file = mkstemp(temporary); /* readable by this user only */
    if (file < 0) return;
    flock(file, LOCK_EX | LOCK_NB); /* so that another program does not take it for a left-over */
    bool is_written = write_whole(file, content);
    if (is_written && replaces) is_written = rename(temporary, place->path) == 0;
    else if (is_written && link(temporary, place->path) != 0 && errno != EEXIST) {
        /* A file system without links, where the lock alone keeps two programs apart. */
        if (access(place->path, F_OK) != 0) rename(temporary, place->path);
    }
    close(file);
    unlink(temporary);
    keep_names(place->folder);
}

static int lock(const search *place) {
    char path[MOST_PATH + 8];
    struct timespec pause = {0, 50 * 1000 * 1000};
    snprintf(path, sizeof path, "%s.lock", place->path);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int tries = 0; file >= 0 && tries < TRIES && flock(file, LOCK_EX | LOCK_NB) != 0; tries++) {
        nanosleep(&pause, NULL);
    }
    return file;
}

static bool make(search *place) {
    char content[LICSRV_IDENTITY_CONTENT + 1];
    unsigned char random[LICSRV_IDENTITY_RANDOM_BYTES];
    mkdir(place->folder, 0700);
    if (RAND_bytes(random, sizeof random) != 1) return false;
    if (licsrv_make_identity(random, place->name, content) != LICSRV_OK) return false;
    int held = lock(place);
    origin found = look(place);
    if (found != HERE && found != UNREADABLE) put(place, content, found != MISSING);
    if (held >= 0) close(held);
    return look(place) == HERE;
}

static bool find(search *place, const char *folder, const char *machine_name) {
    if (folder == NULL || strlen(folder) + sizeof LICSRV_IDENTITY_NAME + 1 > MOST_PATH) return false;
    snprintf(place->folder, sizeof place->folder, "%s", folder);
    strcat(strcat(strcpy(place->path, folder), "/"), LICSRV_IDENTITY_NAME);
    ask_name(machine_name, place->name);
    return true;
}

licsrv_identified licsrv_identify(const char *folder, const char *device_info, const char *machine_name,
                                  char out[LICSRV_MAXIMUM_DEVICE_INFO + 1]) {
    search place = {0};
    bool has_place = find(&place, folder, machine_name);
    origin found = has_place ? look(&place) : MISSING;
    bool weak = licsrv_is_weak_device(device_info), is_kept = found == HERE;
    if (weak && has_place && !is_kept && found != UNREADABLE) is_kept = make(&place);
    size_t size = LICSRV_MAXIMUM_DEVICE_INFO + 1;
    if (licsrv_name_identity(device_info, is_kept ? place.identity : "", out, size) != LICSRV_OK) *out = '\0';
    if (!weak) return LICSRV_IDENTIFIED;
    if (!is_kept) return LICSRV_IDENTITY_NOT_KEPT;
    return found == ELSEWHERE ? LICSRV_IDENTITY_COPIED : LICSRV_IDENTIFIED;
}
