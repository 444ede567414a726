"""What the words of the service are called: statuses, kinds, states, roles, permissions and what is audited. Pure.

A group holds the words of one vocabulary; a test holds each against the code that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping

from licsrv.words.actions import ACTIONS, AUDITED
from licsrv.words.sentences import Sentence, both, named

_REFUSED_WHY = {
    "DEVICE_LIMIT_REACHED": both("Every place is taken", "名额已满"),
    "DEVICE_NOT_ALLOWED": both("Virtual machines are not allowed", "不允许虚拟机"),
    "DEVICE_MISMATCH": both("Another device", "设备不符"),
    "NO_SEAT_FREE": both("No seat free", "无空闲席位"),
    "LICENSE_EXPIRED": both("Expired", "已到期"),
    "LICENSE_FROZEN": both("Frozen", "已冻结"),
    "LICENSE_REVOKED": both("Revoked", "已撤销"),
    "LICENSE_RELEASED": both("Released", "已退还"),
    "LICENSE_NOT_RECEIVED": both("Not received yet", "尚未领取"),
    "EXPIRED": both("Expired", "已到期"),
    "FROZEN": both("Frozen", "已冻结"),
    "REVOKED": both("Revoked", "已撤销"),
    "RELEASED": both("Released", "已退还"),
}
_USAGE = {
    "recorded": both("recorded", "已记录"),
    "reported": both("reported", "已上报"),
    "waiting": both("waiting", "等待"),
    "failed": both("failed", "失败"),
}
NAMES: Mapping[str, Mapping[str, Sentence]] = {
    "status": {
        "NOT_ACTIVATED": both("Not activated", "未激活"),
        "ACTIVE": both("Active", "有效"),
        "EXPIRED": both("Expired", "已到期"),
        "FROZEN": both("Frozen", "已冻结"),
        "REVOKED": both("Revoked", "已撤销"),
        "RELEASED": both("Released", "已退还"),
    },
    "marketplace_status": {  # what the marketplace or we say of a license, on either side of a difference
        "ALIVE": both("Usable", "可使用"),
        "ACTIVE": both("Active", "有效"),
        "EXPIRED": both("Expired", "已到期"),
        "FROZEN": both("Frozen", "已冻结"),
        "REVOKED": both("Revoked", "已撤销"),
        "RELEASED": both("Released", "已退还"),
        "NOT_ACTIVATED": both("Not activated", "未激活"),
        "NOT_RECEIVED": both("Not received", "未领取"),
    },
    "refused_why": _REFUSED_WHY,
    "role": {
        "viewer": both("Viewer", "查看者"),
        "support": both("Support", "客服"),
        "supervisor": both("Supervisor", "主管"),
        "operator": both("Operator", "运维"),
        "auditor": both("Auditor", "审计"),
    },
    "permission": {
        "read_licenses": both("read licenses", "查看许可证"),
        "read_reports": both("read reports", "查看报表"),
        "change_licenses": both("change licenses", "修改许可证"),
        "extend_grace": both("extend the grace", "延长宽限期"),
        "reconcile": both("compare with the marketplace", "与云商店核对"),
        "start_bulk": both("start bulk jobs", "发起批量操作"),
        "approve_bulk": both("approve bulk jobs", "批准批量操作"),
        "read_audit": both("read the audit", "查看审计"),
        "export_audit": both("export the audit", "导出审计"),
        "read_outbox": both("read the outbox", "查看发件箱"),
        "manage_outbox": both("manage the outbox", "管理发件箱"),
        "read_keys": both("read the keys", "查看密钥"),
        "manage_releases": both("manage releases", "管理版本"),
        "manage_products": both("manage products", "管理产品"),
        "manage_accounts": both("manage accounts", "管理账号"),
        "manage_tokens": both("manage API tokens", "管理 API 令牌"),
    },
    "language": {"zh": both("Chinese", "中文"), "en": both("English", "英文")},
    "presented": {
        "license_string": both("License string", "许可证字符串"),
        "license_file": both("License file", "许可证文件"),
        "lease": both("Lease", "租约"),
        "unknown": both("Unreadable", "无法读取"),
    },
    "found_by": {
        "code": both("code", "授权码"),
        "look_alike": both("a code that looks alike", "字形相近的授权码"),
        "id": both("id", "ID"),
        "order": both("order", "订单"),
        "customer": both("customer", "客户"),
        "device_name": both("device name", "设备名"),
        "device_id": both("device id", "设备 ID"),
        "fingerprint": both("fingerprint", "指纹"),
        "presented": both("what was pasted", "粘贴内容"),
    },
    "part": {
        "mac": both("MAC", "MAC"),
        "disk": both("disk", "硬盘"),
        "board": both("board", "主板"),
        "cpu": both("CPU", "CPU"),
    },
    "part_verdict": {
        "agrees": both("agrees", "一致"),
        "differs": both("differs", "不同"),
        "not given": both("not given", "未提供"),
        "not known": both("not known", "未知"),
    },
    "action": {name: words.name for name, words in ACTIONS.items()},
    "message": {
        "activate_license": both("Activate a license", "激活许可证"),
        "query_license": both("Query a license", "查询许可证"),
        "report_usage": both("Report use", "上报使用情况"),
        "query_order": both("Query an order", "查询订单"),
        "upload_license": both("Upload a license", "上传许可证"),
    },
    "message_state": {
        "WAITING": both("Waiting", "等待"),
        "DELIVERED": both("Delivered", "已送达"),
        "PARKED": both("Parked", "已搁置"),
        "DROPPED": both("Given up", "已放弃"),
    },
    "job_state": {
        "DRAFT": both("Draft", "草稿"),
        "CHECKED": both("Dry run done", "已试运行"),
        "WAITING": both("Waiting for approval", "等待审批"),
        "RUNNING": both("Running", "进行中"),
        "FINISHED": both("Finished", "已完成"),
        "REJECTED": both("Rejected", "已驳回"),
        "STOPPED": both("Stopped", "已停止"),
    },
    "outcome": {
        "CHANGE": both("to be changed", "将更改"),
        "CHANGED": both("changed", "已更改"),
        "UNCHANGED": both("unchanged", "无需更改"),
        "REFUSED": both("refused", "被拒绝"),
        "UNKNOWN": both("not found", "未找到"),
        "REPEATED": both("repeated", "重复"),
        "UNREADABLE": both("unreadable", "无法读取"),
        "FAILED": both("failed", "失败"),
    },
    "run_state": {
        "RUNNING": both("Running", "进行中"),
        "FINISHED": both("Finished", "已完成"),
        "STOPPED": both("Stopped", "已停止"),
        "FAILED": both("Failed", "失败"),
    },
    "difference": {
        "STATUS": both("Status", "状态"),
        "EXPIRY": both("End", "到期"),
        "PRODUCT": both("Product", "商品"),
        "AMOUNT": both("Amount", "数量"),
        "UNKNOWN": both("Unknown there", "云商店无此记录"),
        "UNANSWERED": both("Not answered", "未作答"),
    },
    "difference_state": {
        "open": both("Open", "未处理"),
        "dismissed": both("Left as they are", "保留原样"),
        "closed": both("Closed", "已了结"),
    },
    "area": {
        "keys": both("Keys", "密钥"),
        "key_pair": both("Key pair", "密钥对"),
        "clock": both("Clock", "时钟"),
        "outbox": both("Outbox", "发件箱"),
        "callbacks": both("Callbacks", "回调"),
        "probes": both("Probes", "探测"),
        "reconciliation": both("Reconciliation", "对账"),
        "ends": both("Ends", "到期时间"),
        "places": both("Places", "名额"),
        "clones": both("Copies", "副本"),
    },
    "key_state": {
        "signing": both("signing", "使用中"),
        "waiting": both("waiting", "待启用"),
        "retired": both("retired", "已停用"),
    },
    "key_purpose": {
        "license": both("Licenses", "许可证"),
        "lease": both("Leases", "租约"),
        "release": both("Releases", "版本"),
    },
    "release_state": {
        "scheduled": both("scheduled", "待发布"),
        "published": both("published", "已发布"),
        "withdrawn": both("withdrawn", "已撤回"),
    },
    "report": {
        "active-devices": both("Devices that checked in and may work", "活跃设备"),
        "refusals": both("Devices that were refused", "被拒的设备"),
        "expiries": both("Licenses that expire", "到期的许可证"),
        "usage": both("Use recorded here and reported to the marketplace", "本系统记录与上报云商店的用量"),
    },
    "report_unit": {"devices": both("devices", "台设备"), "licenses": both("licenses", "个许可证")},
    "report_by": {
        "nothing": both("total", "合计"),
        "product": both("product", "商品"),
        "customer": both("customer", "客户"),
        "reason": both("reason", "原因"),
    },
    "series": {**_USAGE, **_REFUSED_WHY},  # of a report
    "problem": {  # by the code of a refusal: its headline
        "UNAUTHENTICATED": both("Please sign in", "请登录"),
        "FORBIDDEN": both("You may not do this", "您没有权限"),
        "STEP_UP_REQUIRED": both("Is it you?", "是您本人吗？"),
        "NOT_FOUND": both("There is nothing here", "这里什么也没有"),
        "LICENSE_NOT_FOUND": both("There is no such license", "没有这个许可证"),
        "METHOD_NOT_ALLOWED": both("This address does not support this", "此地址不支持该操作"),
        "INVALID_REQUEST": both("Something does not fit", "内容有误"),
        "CONFLICT": both("Conflicts with the current state", "与当前状态冲突"),
        "SELLER_DECIDES": both("Its seller decides this", "由销售方决定"),
        "TOO_MANY_REQUESTS": both("Too many attempts", "尝试次数过多"),
        "BODY_TOO_LARGE": both("Too long", "内容过长"),
        "UNSUPPORTED_MEDIA_TYPE": both("This form cannot be read", "无法读取此表单"),
        "SERVICE_UNAVAILABLE": both("The service is busy", "服务繁忙"),
        "MARKETPLACE_UNAVAILABLE": both("The marketplace does not answer", "云商店无响应"),
        "INTERNAL_ERROR": both("An internal error occurred", "系统内部错误"),
    },
    "audited": AUDITED,
    "policy_value": {
        "places.limit": both("Places of a license", "每个许可证的名额"),
        "places.amount_counts": both("The amount counts devices", "购买数量即设备数"),
        "places.floating": both("Floating places", "浮动名额"),
        "places.overdraft": both("More than were bought", "可超出的个数"),
        "places.surplus": both("When places become fewer", "名额减少时"),
        "places.overdraft_percent": both("More than were bought, in %", "可超出的比例（%）"),
        "recognition.learned_parts": both("New parts of a device", "设备可换的部件数"),
        "recognition.learned_days": both("Within days (parts)", "累计天数（部件）"),
        "recognition.weak_binding": both("Weak binding", "弱绑定"),
        "recognition.virtual_machines": both("Virtual machines", "虚拟机"),
        "moves.per_place": both("Moves of a place by programs", "程序可迁移名额的次数"),
        "moves.days": both("Within days (moves)", "累计天数（迁移）"),
        "moves.cool_down_hours": both("Hours between two moves", "两次迁移间隔（小时）"),
        "moves.file_holds_place": both("A license file holds its place", "许可证文件保留名额"),
        "moves.unseen_days": both("Days until an unseen device may be replaced", "未出现设备可被替换的天数"),
        "moves.unseen_released": both("Unseen devices released by themselves", "自动释放未出现的设备"),
        "moves.show_names": both("Names shown to machines without a place", "向无名额的设备显示名称"),
        "time.check_in_hours": both("Hours between check-ins", "签到间隔（小时）"),
        "time.grace_hours": both("Hours without contact", "可离线时长（小时）"),
        "floating.seat_minutes": both("Minutes that a seat lasts", "席位有效时长（分钟）"),
        "floating.shared_by_user": both("A user's programs share a seat", "同一用户共用席位"),
        "floating.show_names": both("Refusals name who holds seats", "告知席位占用者"),
        "floating.borrow_days": both("Days that a seat may be borrowed", "席位可借出天数"),
        "floating.borrow_percent": both("Seats borrowed at once, in %", "同时借出的比例（%）"),
        "floating.return_hours": both("Hours before a borrowed seat returns", "借出后可归还前的小时数"),
        "clones.action": both("Copies of a machine", "机器副本"),
    },
    "policy_word": {
        "off": both("off", "关闭"),
        "warn": both("warn", "提醒"),
        "refuse": both("refuse", "拒绝"),
        "staff": both("staff decides", "由客服决定"),
        "keep": both("keep their places", "保留名额"),
        "newest-out": both("the newest go", "最新的退出"),
    },
    "field": {"percent": both("share of devices in %", "设备比例（%）")},
}
OTHER_PROBLEM = both("This cannot be done now", "现在无法执行")


def name_of(group: str, word: str) -> Sentence:
    """Return what a word of a group is called; the word itself where the catalogue does not know it."""
    return named(NAMES[group], word)


def headline(code: str) -> Sentence:
    """Return the headline of a refusal, by its code."""
    return NAMES["problem"].get(code, OTHER_PROBLEM)
