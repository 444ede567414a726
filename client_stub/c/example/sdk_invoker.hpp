/*
 * The SDK's calls under their own names, for a computer without ISCDesk and without network: licenses are files that
 * was copied there (offline activation). A program written against it meets the same calls and the same events.
 *
 * In a folder it expects `license.txt` with a license string, or a license file under the name that is asked for. As with
 * the SDK, calls return at once and events arrive later, one after the other, on one thread; ShutOut inside the
 * callback, which deadlocks there, is refused here. What needs the cloud answers NOT_AVAILABLE, or says `failed` in its
 * own event.
 *
 * Numbers of events and statuses are ours: those of the SDK are not documented.
 */
#ifndef LICSRV_EXAMPLE_SDK_INVOKER_HPP
#define LICSRV_EXAMPLE_SDK_INVOKER_HPP

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

enum class EventType {
    EVENT_LICENSE_VERIFY = 1,
    EVENT_UPGRADENOTICE = 2,
    EVENT_UPDATE = 3,
    EVENT_OPENCLOUDFILE_RESULT = 4,
    EVENT_SAVE_RESULT = 5
};

enum class LicenseType { LICENSE_TYPE_STRING, LICENSE_TYPE_FILE };

enum class ResultStatus {
    SUCCESS = 0,
    NOT_INITIALISED = 1,
    SHUT_OUT = 2,
    FORBIDDEN_IN_CALLBACK = 3,
    INVALID_ARGUMENT = 4,
    NO_EVENT_RECALL = 5,
    NOT_AVAILABLE = 6
};

class SdkInvoker;

/* What IscdeskFactory() returns; exists for its Init. */
class Iscdesk {
public:
    explicit Iscdesk(SdkInvoker &owner) : owner_(owner) {}
    ResultStatus Init();

private:
    SdkInvoker &owner_;
};

class SdkInvoker {
public:
    using EventRecall = std::function<void(EventType, const std::string &)>;

    explicit SdkInvoker(std::filesystem::path folder);
    ~SdkInvoker();
    SdkInvoker(const SdkInvoker &) = delete;
    SdkInvoker &operator=(const SdkInvoker &) = delete;

    Iscdesk *IscdeskFactory() { return &iscdesk_; }

    /* invoker->RegisterEventRecall(&example, &Example::EventRecall); the last registration counts. */
    template <class Target>
    ResultStatus RegisterEventRecall(Target *target, void (Target::*method)(EventType, const std::string &)) {
        if (target == nullptr || method == nullptr) return ResultStatus::INVALID_ARGUMENT;
        return remember([target, method](EventType event, const std::string &text) { (target->*method)(event, text); });
    }

    ResultStatus GetLicenseStringRequest(const std::string &devInfo);
    ResultStatus GetLicenseFileRequest(const std::string &fileName, const std::string &devInfo);
    ResultStatus TrialExpirationAndGetLicense(LicenseType type, const std::string &devInfo, const std::string &fileName);
    ResultStatus LicenseVerifyNotify(bool verifyResult, const std::string &errorMsg);
    ResultStatus CheckNewVersions();
    ResultStatus UpgradeNotify(bool bUpgrade);
    ResultStatus OpenCloudFile();
    ResultStatus Save(const std::string &saveFilePath, bool isAssembly = false);
    ResultStatus GetSolution(const std::string &filePath);
    ResultStatus ShutOut();

    /*
     * The device text that licenses are bound to: the one of the last request, with the install identity that is kept in
     * the folder where a machine has nothing of its own. Verify with it.
     */
    const std::string &DeviceInfo() const { return device_info_; }

private:
    friend class Iscdesk;

    ResultStatus init();
    ResultStatus remember(EventRecall recall);
    ResultStatus readiness();
    void identify(const std::string &devInfo);
    ResultStatus raise(EventType event, std::string text);
    void deliver();

    std::filesystem::path folder_;
    std::string device_info_;
    Iscdesk iscdesk_;
    std::mutex lock_;
    std::condition_variable wake_;
    std::deque<std::pair<EventType, std::string>> events_;
    EventRecall recall_;
    std::thread thread_;
    bool is_initialised_ = false;
    bool is_shut_out_ = false;
};

#endif
