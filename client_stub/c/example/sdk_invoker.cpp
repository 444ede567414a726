#include "sdk_invoker.hpp"

#include "../licsrv_verify.h"
#include "../machine/install_identity.h"

#include <fstream>
#include <iterator>
#include <utility>

namespace {

const char STRING_NAME[] = "license.txt";
const char FILE_NAME[] = "license.lic";

std::string quoted(const std::string &text) {
    static const char hex[] = "0123456789abcdef";
    std::string out = "\"";
    for (unsigned char character : text) {
        if (character == '"' || character == '\\') out += '\\';
        if (character >= 0x20) out += static_cast<char>(character);
        else out += std::string("\\u00") + hex[character >> 4] + hex[character & 15];
    }
    return out + '"';
}

std::string envelope(const std::string &operate, const std::string &parameters) {
    return "{\"operate\":\"" + operate + "\",\"params\":{" + parameters + "},\"comeBackParams\":{}}";
}

/* The event that carries a license, members in the order of the published samples. */
std::string license_event(bool is_there, const std::string &member, const std::string &value, const char *type) {
    const std::string status = is_there ? "success" : "failed";
    return envelope("LicenseVerify",
                    "\"Status\":\"" + status + "\",\"" + member + "\":" + quoted(is_there ? value : "") +
                        ",\"LicenseType\":\"" + type + "\"");
}

/* An editor leaves a newline behind a string that was pasted into a file; a string itself never has one. */
std::string without_line_end(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

std::string read_string(const std::filesystem::path &path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(LICSRV_MAXIMUM_STRING + 3, '\0'); /* room for CRLF, and to see that it is too long */
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    text = without_line_end(std::move(text));
    return text.size() > LICSRV_MAXIMUM_STRING ? std::string() : text;
}

/* A name, not a way out of the folder. */
bool is_bare_name(const std::string &name) {
    return name != "." && name != ".." && name.find_first_of("/\\:") == std::string::npos;
}

}  // namespace

ResultStatus Iscdesk::Init() {
    return owner_.init();
}

SdkInvoker::SdkInvoker(std::filesystem::path folder) : folder_(std::move(folder)), iscdesk_(*this) {}

SdkInvoker::~SdkInvoker() {
    ShutOut();
}

ResultStatus SdkInvoker::init() {
    std::lock_guard<std::mutex> guard(lock_);
    if (is_shut_out_) return ResultStatus::SHUT_OUT;
    if (!is_initialised_) thread_ = std::thread(&SdkInvoker::deliver, this);
    is_initialised_ = true;
    return ResultStatus::SUCCESS;
}

ResultStatus SdkInvoker::remember(EventRecall recall) {
    std::lock_guard<std::mutex> guard(lock_);
    if (is_shut_out_) return ResultStatus::SHUT_OUT;
    if (!is_initialised_) return ResultStatus::NOT_INITIALISED;
    recall_ = std::move(recall);
    return ResultStatus::SUCCESS;
}

ResultStatus SdkInvoker::readiness() {
    std::lock_guard<std::mutex> guard(lock_);
    if (is_shut_out_) return ResultStatus::SHUT_OUT;
    if (!is_initialised_) return ResultStatus::NOT_INITIALISED;
    return recall_ ? ResultStatus::SUCCESS : ResultStatus::NO_EVENT_RECALL;
}

ResultStatus SdkInvoker::raise(EventType event, std::string text) {
    const ResultStatus status = readiness();
    if (status != ResultStatus::SUCCESS) return status;
    std::lock_guard<std::mutex> guard(lock_);
    events_.emplace_back(event, std::move(text));
    wake_.notify_one();
    return ResultStatus::SUCCESS;
}

/* The event thread: the callback runs without the lock, so it may call back into the SDK. */
void SdkInvoker::deliver() {
    std::unique_lock<std::mutex> guard(lock_);
    while (!is_shut_out_) {
        wake_.wait(guard, [this] { return is_shut_out_ || !events_.empty(); });
        while (!is_shut_out_ && !events_.empty()) {
            const auto event = std::move(events_.front());
            const EventRecall recall = recall_;
            events_.pop_front();
            guard.unlock();
            recall(event.first, event.second);
            guard.lock();
        }
    }
}

void SdkInvoker::identify(const std::string &devInfo) {
    std::string text(LICSRV_MAXIMUM_DEVICE_INFO + 1, '\0');
    licsrv_identify(folder_.u8string().c_str(), devInfo.c_str(), nullptr, text.data());
    device_info_ = text.c_str();
}

ResultStatus SdkInvoker::GetLicenseStringRequest(const std::string &devInfo) {
    identify(devInfo);
    const std::string text = read_string(folder_ / STRING_NAME);
    return raise(EventType::EVENT_LICENSE_VERIFY, license_event(!text.empty(), "LicenseContent", text, "string"));
}

ResultStatus SdkInvoker::GetLicenseFileRequest(const std::string &fileName, const std::string &devInfo) {
    identify(devInfo);
    if (!is_bare_name(fileName)) return ResultStatus::INVALID_ARGUMENT;
    const std::filesystem::path path = folder_ / (fileName.empty() ? FILE_NAME : fileName);
    std::error_code ignored; /* a folder that cannot be read holds no license */
    const bool is_there = std::filesystem::is_regular_file(path, ignored);
    return raise(EventType::EVENT_LICENSE_VERIFY,
                 license_event(is_there, "LicenseFilePath", path.u8string(), "file"));
}

ResultStatus SdkInvoker::TrialExpirationAndGetLicense(LicenseType type, const std::string &devInfo,
                                                      const std::string &fileName) {
    if (type == LicenseType::LICENSE_TYPE_FILE) return GetLicenseFileRequest(fileName, devInfo);
    return GetLicenseStringRequest(devInfo);
}

ResultStatus SdkInvoker::LicenseVerifyNotify(bool, const std::string &) {
    return readiness(); /* there is no ISCDesk to report to */
}

ResultStatus SdkInvoker::CheckNewVersions() {
    return raise(EventType::EVENT_UPGRADENOTICE, envelope("UpgradeNotice", "\"available\":\"false\""));
}

ResultStatus SdkInvoker::UpgradeNotify(bool) {
    const ResultStatus status = readiness();
    return status == ResultStatus::SUCCESS ? ResultStatus::NOT_AVAILABLE : status;
}

ResultStatus SdkInvoker::OpenCloudFile() {
    const ResultStatus status = readiness();
    return status == ResultStatus::SUCCESS ? ResultStatus::NOT_AVAILABLE : status;
}

ResultStatus SdkInvoker::Save(const std::string &, bool) {
    return raise(EventType::EVENT_SAVE_RESULT, envelope("SaveResult", "\"status\":\"failed\""));
}

ResultStatus SdkInvoker::GetSolution(const std::string &) {
    const ResultStatus status = readiness();
    return status == ResultStatus::SUCCESS ? ResultStatus::NOT_AVAILABLE : status;
}

ResultStatus SdkInvoker::ShutOut() {
    if (thread_.get_id() == std::this_thread::get_id()) return ResultStatus::FORBIDDEN_IN_CALLBACK;
    {
        std::lock_guard<std::mutex> guard(lock_);
        is_shut_out_ = true;
        wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
    return ResultStatus::SUCCESS;
}
