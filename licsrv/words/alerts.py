"""What the first page says of things that need attention. Pure."""

from __future__ import annotations

from licsrv.words.sentences import Noun, both

DIFFERENCES = Noun(
    "{count} difference from the marketplace.",
    "{count} differences from the marketplace.",
    "与云商店有 {count} 处差异。",
)
KEYS_MISSING = both("{problem}", "缺少签名密钥：{problem}")
PAIR_REFUSED = Noun(
    "The marketplace refused our key pair once; calls are paused until {until}: {reason}",
    "The marketplace refused our key pair {count} times; calls are paused until {until}: {reason}",
    "云商店拒绝了我们的密钥对 {count} 次，调用暂停至 {until}：{reason}",
)
CLOCKS_DIFFER = both("Our clock and the marketplace's differ by {span}.", "本机时钟与云商店相差 {span}。")
WAITING = Noun(
    "1 delivery has been waiting for {span}.",
    "{count} deliveries are waiting, the oldest for {span}.",
    "{count} 条上报在等待，最早的已等待 {span}。",
)
PARKED = Noun(
    "1 delivery was refused and parked.", "{count} deliveries were refused and parked.", "{count} 条上报被拒并搁置。"
)
PROBES_FAILED = Noun(
    "1 probe of the marketplace failed.", "{count} probes of the marketplace failed.", "{count} 个探测失败。"
)
UNREAD_ANSWERS = Noun(
    "1 answer of the marketplace about {names} cannot be read.",
    "{count} answers of the marketplace cannot be read, the newest about {names}.",
    "云商店有 {count} 条答复无法读取，最近的涉及 {names}。",
)
ENDLESS = Noun(
    "1 license has no end, and its product is not marked as sold once.",
    "{count} licenses have no end, and their products are not marked as sold once.",
    "{count} 个许可证没有到期时间，而其产品未标记为一次性售卖。",
)
OVERFULL = Noun(
    "1 license has more in use than was bought.",
    "{count} licenses have more in use than was bought.",
    "{count} 个许可证的在用数量超过购买数量。",
)
MANY_TEXTS = Noun(
    "1 device of {names} described itself in many ways on one day: several machines may share its place.",
    "{count} devices described themselves in many ways on one day, most of all of {names}: machines may share places.",
    "{count} 台设备一天内上报了多种不同的设备信息（许可证 {names}），可能有多台机器共用一个名额。",
)
COPIED = Noun(
    "1 machine is in use in two copies: {names}.",
    "{count} machines are in use in two copies, the last found of {names}.",
    "{count} 台机器有两份副本在使用（许可证 {names}）。",
)
CALLBACKS_FAILED = Noun("1 callback failed.", "{count} callbacks failed.", "{count} 个回调失败。")
