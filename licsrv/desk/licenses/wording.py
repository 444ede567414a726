"""What stands in a timeline, in Chinese and in English. Pure. A word that is not known here is shown as it is."""

from __future__ import annotations

from collections.abc import Mapping

from licsrv.words.sentences import Sentence

_SUCCESS = "000000"
NOTE = Sentence(zh="备注", en="Note")

_ACTIONS: Mapping[str, tuple[str, str]] = {
    "LICENSE_ADDED": ("手工添加许可证", "License added by hand"),
    "LICENSE_ACTIVATED": ("许可证已激活", "License activated"),
    "LICENSE_RESERVED": ("许可证已创建，等待确认", "License made, not confirmed yet"),
    "LICENSE_PROVISIONAL": ("临时使用，等待云商店确认", "Runs provisionally until the marketplace confirms it"),
    "LICENSE_REFUSED": ("云商店未确认", "Not confirmed by the marketplace"),
    "LICENSE_CHANGED": ("许可证内容变更", "License changed"),
    "LICENSE_FROZEN": ("已冻结", "Frozen"),
    "LICENSE_UNFROZEN": ("已解冻", "Unfrozen"),
    "LICENSE_RELEASED": ("已退还云商店", "Released to the marketplace"),
    "LICENSE_REVOKED": ("已撤销", "Revoked"),
    "LICENSE_REINSTATED": ("已恢复", "Reinstated"),
    "LICENSE_ISSUED": ("向已知设备签发许可证", "Issued to a known device"),
    "LICENSE_REISSUED": ("要求重新签发", "To be issued anew"),
    "LICENSE_DOWNLOADED": ("下载许可证文件", "License file downloaded"),
    "GRACE_CHANGED": ("宽限期变更", "Grace changed"),
    "MAINTENANCE_CHANGED": ("维护截止日期变更", "End of maintenance changed"),
    "NOTE_ADDED": ("添加备注", "Note added"),
    "DEVICE_ACTIVATED": ("新设备激活", "New device activated"),
    "DEVICE_RETURNED": ("设备重新占用名额", "Device took its place again"),
    "DEVICE_RELEASED": ("设备名额已释放", "Device's place released"),
    "DELIVERY_PARKED": ("上报被拒，已搁置", "Delivery refused and parked"),
    "DELIVERY_RETRIED": ("重新上报", "Delivery tried again"),
    "DELIVERY_DROPPED": ("放弃上报", "Delivery given up"),
    "DIFFERENCE_REPAIRED": ("与云商店的差异已修复", "Difference from the marketplace repaired"),
    "DIFFERENCE_DISMISSED": ("与云商店的差异已忽略", "Difference from the marketplace dismissed"),
}
_KINDS: Mapping[str, tuple[str, str]] = {
    "activate_license": ("向云商店激活", "Activation at the marketplace"),
    "query_license": ("向云商店查询", "Question to the marketplace"),
    "report_usage": ("上报使用情况", "Usage report"),
    "query_order": ("查询订单", "Question about the order"),
    "upload_license": ("上传许可证", "License upload"),
}
_STATES: Mapping[str, tuple[str, str]] = {
    "WAITING": ("等待中", "waiting"),
    "DELIVERED": ("已送达", "delivered"),
    "PARKED": ("被拒，已搁置", "refused and parked"),
    "DROPPED": ("已放弃", "given up"),
}


def _both(words: Mapping[str, tuple[str, str]], word: str) -> Sentence:
    zh, en = words.get(word, (word, word))
    return Sentence(zh=zh, en=en)


def action(word: str) -> Sentence:
    """Return what an audit entry did."""
    return _both(_ACTIONS, word)


def callback(activity: str, result_code: str) -> Sentence:
    """Return what the marketplace sent and how it was answered."""
    name = activity or "?"
    if result_code == _SUCCESS:
        return Sentence(zh=f"云商店回调 {name}：成功", en=f"Callback {name}: carried out")
    return Sentence(zh=f"云商店回调 {name}：以 {result_code} 应答", en=f"Callback {name}: answered {result_code}")


def contact(name: str, status: str, count: int) -> Sentence:
    """Return a device's day."""
    device_zh, device_en = (f"设备 {name}", f"Device {name}") if name else ("设备", "A device")
    times = f"{count} time{'s' if count > 1 else ''}"
    return Sentence(zh=f"{device_zh}：当日联系 {count} 次，{status}", en=f"{device_en} checked in {times}: {status}")


def report(kind: str, state: str) -> Sentence:
    """Return a delivery of the outbox."""
    what, how = _both(_KINDS, kind), _both(_STATES, state)
    return Sentence(zh=f"{what.zh}：{how.zh}", en=f"{what.en}: {how.en}")


def order(scene: str) -> Sentence:
    """Return an order that touched the license."""
    return Sentence(zh=f"订单（{scene}）", en=f"Order ({scene})")
