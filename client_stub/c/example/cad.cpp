/*
 * A CAD program that starts without network: asks the SDK for its license, verifies it itself and says what it found.
 *
 *   cad --keys JWKS --folder FOLDER --device 'MAC|disk|board|CPU' [--file NAME] [--product NAME] [--now SECONDS]
 *
 * Without --file it asks for a license string. Exits with 0 when it may work, 1 when not, 2 when it was called wrongly.
 * A product has its keys and its device text built in (see client_stub/machine/device_facts for how to gather the latter);
 * here they are arguments so that the example can be tried.
 */
#include "sdk_invoker.hpp"

#include "../licsrv_verify.h"
#include "../src/json.h"
#include "../tool/bytes.h"
#include "../tool/jwks.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace {

using Options = std::map<std::string, std::string>;

constexpr auto PATIENCE = std::chrono::seconds(10); /* the SDK documents no limit */

struct Free {
    void operator()(char *memory) const { std::free(memory); }
};
using Bytes = std::unique_ptr<char, Free>;

Bytes read_file(const std::string &path, std::size_t &length) {
    Bytes bytes(read_bytes(path.c_str(), &length));
    if (!bytes) throw std::runtime_error(path + " cannot be read.");
    return bytes;
}

std::vector<licsrv_key> pinned_keys(const std::string &path) {
    std::size_t length = 0;
    Bytes text = read_file(path, length);
    std::vector<licsrv_key> keys(16);
    const int count = read_jwks(text.get(), length, keys.data(), keys.size());
    if (count <= 0) throw std::runtime_error("the key set holds no key for this program.");
    keys.resize(static_cast<std::size_t>(count));
    return keys;
}

/* One of the texts in an event; empty when it has none. A real program uses the JSON reader that it has anyway. */
std::string parameter(std::string event, const char *name) {
    std::vector<lsv_node> nodes(LSV_NODES_FOR(event.size()));
    lsv_json json = {event.data(), static_cast<uint32_t>(event.size()), nodes.data(), 0,
                     static_cast<uint32_t>(nodes.size())};
    if (!lsv_json_read(&json)) return {};
    const uint32_t node = lsv_json_member(&json, lsv_json_member(&json, 0, "params"), name);
    if (node == 0 || !lsv_json_is(&json, node, LSV_STRING)) return {};
    return {event.data() + nodes[node].start, nodes[node].length};
}

class CadProgram {
public:
    CadProgram(const Options &options, std::vector<licsrv_key> keys)
        : options_(options), keys_(std::move(keys)), memory_(LICSRV_FILE_WORKSPACE), invoker_(options.at("--folder")) {}

    bool play() {
        invoker_.IscdeskFactory()->Init();
        invoker_.RegisterEventRecall(this, &CadProgram::EventRecall);
        ask();
        const std::string event = wait_for_license();
        const bool may_work = take(event);
        invoker_.CheckNewVersions();
        invoker_.ShutOut();
        return may_work;
    }

    /* On the SDK's thread, so only what is needed happens here; ShutOut is forbidden. */
    void EventRecall(EventType event, const std::string &text) {
        if (event != EventType::EVENT_LICENSE_VERIFY) return;
        std::lock_guard<std::mutex> guard(lock_);
        event_ = text;
        arrived_.notify_one();
    }

private:
    void ask() {
        const auto name = options_.find("--file");
        if (name == options_.end()) invoker_.GetLicenseStringRequest(options_.at("--device"));
        else invoker_.GetLicenseFileRequest(name->second, options_.at("--device"));
    }

    std::string wait_for_license() {
        std::unique_lock<std::mutex> guard(lock_);
        arrived_.wait_for(guard, PATIENCE, [this] { return !event_.empty(); });
        return event_;
    }

    bool take(const std::string &event) {
        if (parameter(event, "Status") != "success") {
            std::cout << "There is no license for this computer.\n";
            return false;
        }
        licsrv_license license{};
        const licsrv_result result = verify(event, license);
        invoker_.LicenseVerifyNotify(result == LICSRV_OK, result == LICSRV_OK ? "" : licsrv_result_name(result));
        say(result, license);
        return result == LICSRV_OK;
    }

    licsrv_result verify(const std::string &event, licsrv_license &license) {
        const licsrv_expected expected = expectation();
        const licsrv_workspace space = {memory_.data(), memory_.size()};
        if (parameter(event, "LicenseType") == "string") {
            const std::string text = parameter(event, "LicenseContent");
            return licsrv_verify_string(text.data(), text.size(), &expected, space, &license);
        }
        std::size_t length = 0;
        const Bytes bytes = read_file(parameter(event, "LicenseFilePath"), length);
        return licsrv_verify_file(bytes.get(), length, &expected, space, &license);
    }

    licsrv_expected expectation() const {
        licsrv_expected expected{};
        expected.keys = keys_.data();
        expected.key_count = keys_.size();
        expected.device_info = invoker_.DeviceInfo().c_str();
        const auto product = options_.find("--product"), now = options_.find("--now");
        expected.product = product == options_.end() ? nullptr : product->second.c_str();
        expected.now = now == options_.end() ? static_cast<int64_t>(std::time(nullptr)) : std::stoll(now->second);
        return expected;
    }

    void say(licsrv_result result, const licsrv_license &license) const {
        if (result != LICSRV_OK) {
            std::cout << "The license is not accepted (" << licsrv_result_name(result) << ").\n";
            return;
        }
        std::cout << "License " << license.license_id.data << " for " << license.product.data
                  << " verified on this computer, without network. Drawing is "
                  << (licsrv_has_feature(&license, "draw") ? "allowed" : "not part of it") << ".\n";
    }

    const Options &options_;
    const std::vector<licsrv_key> keys_;
    std::vector<char> memory_;
    std::mutex lock_;
    std::condition_variable arrived_;
    std::string event_;
    SdkInvoker invoker_; /* last, so first to go: its thread calls back into the members above */
};

Options read_options(int count, char **arguments) {
    Options options;
    for (int index = 1; index + 1 < count; index += 2) options[arguments[index]] = arguments[index + 1];
    for (const char *needed : {"--keys", "--folder", "--device"}) {
        if (options.count(needed) == 0) throw std::runtime_error(std::string(needed) + " is missing.");
    }
    return options;
}

}  // namespace

int main(int count, char **arguments) {
    try {
        const Options options = read_options(count, arguments);
        return CadProgram(options, pinned_keys(options.at("--keys"))).play() ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << "The program cannot start: " << error.what() << "\n";
        return 2;
    }
}
