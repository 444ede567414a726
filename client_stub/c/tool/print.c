#include "print.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const VERDICTS[] = {"absent", "matches", "differs"};

void print_string(lsv_span text) {
    putchar('"');
    for (size_t index = 0; index < text.length; index++) {
        unsigned char character = (unsigned char)text.data[index];
        if (character < 0x20 || character == '"' || character == '\\' || character == 0x7F) {
            printf("\\u%04x", character);
        } else {
            putchar(character);
        }
    }
    putchar('"');
}

static void print_text(const char *name, licsrv_text text) {
    printf("\"%s\":", name);
    print_string((lsv_span){text.data, text.length});
    putchar(',');
}

static void print_end(const char *name, int64_t moment) {
    if (moment == LICSRV_NEVER) printf("\"%s\":null,", name);
    else printf("\"%s\":%" PRId64 ",", name, moment);
}

static void print_features(const licsrv_license *license) {
    printf("\"features\":[");
    for (size_t position = 0; position < license->feature_count; position++) {
        licsrv_text feature = licsrv_feature(license, position);
        if (position > 0) putchar(',');
        print_string((lsv_span){feature.data, feature.length});
    }
    putchar(']');
}

void print_license(const licsrv_license *license) {
    printf(",\"license\":{");
    print_text("issuer", license->issuer);
    print_text("string_id", license->string_id);
    print_text("license_id", license->license_id);
    print_text("code", license->code);
    print_text("product", license->product);
    print_text("order_id", license->order_id);
    print_text("file_name", license->file_name);
    printf("\"issued_at\":%" PRId64 ",\"not_before\":%" PRId64 ",", license->issued_at, license->not_before);
    print_end("expires_at", license->expires_at);
    print_end("maintenance_until", license->maintenance_until);
    printf("\"quantity\":%" PRIu32 ",\"is_test\":%s,", license->quantity, license->is_test ? "true" : "false");
    printf("\"is_provisional\":%s,", license->is_provisional ? "true" : "false");
    printf("\"is_floating\":%s,", license->is_floating ? "true" : "false");
    printf("\"has_second_signature\":%s,", license->has_second_signature ? "true" : "false");
    print_features(license);
    putchar('}');
}

void print_feature(const licsrv_license *license, const char *feature) {
    licsrv_text value;
    printf(",\"feature\":{\"granted\":%s,", licsrv_feature_value(license, feature, &value) ? "true" : "false");
    printf("\"value\":");
    print_string((lsv_span){value.data, value.length});
    putchar('}');
}

void print_match(const licsrv_match *match) {
    printf(",\"device\":{");
    for (int part = 0; part < 4; part++) printf("\"%s\":\"%s\",", LSV_PART_NAMES[part], VERDICTS[match->parts[part]]);
    printf("\"agreeing\":%d,\"required\":%d}", match->agreeing, match->required);
}

void print_lease(const licsrv_lease *lease, int64_t license_end) {
    printf(",\"lease\":{\"status\":\"%s\",", licsrv_status_name(lease->status));
    print_text("reason", lease->reason);
    print_end("license_expires_at", lease->license_expires_at);
    print_end("license_end", license_end);
    printf("\"issued_at\":%" PRId64 ",\"expires_at\":%" PRId64, lease->issued_at, lease->expires_at);
    printf(",\"next_heartbeat_at\":%" PRId64 "}", lease->next_heartbeat_at);
}

void print_revocations(const licsrv_revocations *list) {
    printf(",\"revocations\":{\"number\":%" PRId64 ",\"since\":%" PRId64, list->number, list->since);
    printf(",\"add\":%zu,\"remove\":%zu,\"issued_at\":%" PRId64 "}", list->add_count, list->remove_count,
           list->issued_at);
}

static void print_values(int part, lsv_span raw) {
    char normal[LSV_NORMAL_BYTES];
    bool is_first = true, local_counts = lsv_local_counts(part, raw);
    while (raw.data != NULL) {
        size_t length = lsv_normal_value(part, lsv_next_value(part, &raw), normal);
        if (!lsv_is_telling(part, (lsv_span){normal, length}, local_counts)) continue;
        if (!is_first) putchar(',');
        is_first = false;
        print_string((lsv_span){normal, length});
    }
}

void print_normal_form(const lsv_span raw[4]) {
    printf(",\"normal\":{");
    for (int part = 0; part < 4; part++) {
        printf("%s\"%s\":[", part > 0 ? "," : "", LSV_PART_NAMES[part]);
        print_values(part, raw[part]);
        putchar(']');
    }
    putchar('}');
}
