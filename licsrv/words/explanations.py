"""What each rule says when it decides what a device gets. Pure."""

from __future__ import annotations

from licsrv.words.sentences import both

USABLE = both("The license may be used until {until}.", "许可证可使用至 {until}。")
ENDLESS = both("The license may be used and never ends.", "许可证可使用，永久有效。")
KNOWN = both("The device is one that the license knows: {parts}.", "该设备是许可证已知的设备：{parts}。")
SAME_TEXT = both(
    "The device is one that the license knows, by the text that it sends or by what is left of it: {parts}.",
    "根据发送的内容或其余部件，该设备是许可证已知的设备：{parts}。",
)
STRANGER = both("No device of the license shares a part with this one.", "许可证的设备都没有与该设备相同的部件。")
UNLIKE = both(
    "No device of the license is this one. The most similar one reaches {agreeing} of {needed}: {parts}.",
    "许可证没有该设备。最相近的设备得 {agreeing} 分，需 {needed} 分：{parts}。",
)
HOLDS = both("The device holds a place already.", "该设备已占用名额。")
FREE = both("{taken} of {places} places are taken, so it gets one.", "{places} 个名额已用 {taken} 个，可获得一个。")
BEYOND = both(
    "{taken} of {places} places are taken. The product admits {most}, so it gets one that was not bought.",
    "{places} 个名额已用 {taken} 个。商品最多允许 {most} 个，因此可超额获得一个。",
)
FLOATS = both(
    "The {places} seats of the license float: the device needs no place, its programs take seats while they run.",
    "该许可证有 {places} 个浮动席位：设备无需名额，程序运行时占用席位。",
)
FULL = both("{taken} of {most} places are taken, so it gets none.", "{most} 个名额已用 {taken} 个，因此没有名额。")
BOUND = both("Its place is bound to what it names.", "名额将与其部件绑定。")
WEAKLY_BOUND = both(
    "Its place is bound to an install identity, which the product allows.", "名额将与安装标识绑定，商品允许如此。"
)
VIRTUAL = both(
    "It is a virtual machine or container, which the product does not allow.", "它是虚拟机或容器，商品不允许。"
)
NOTHING_TO_BIND = both(
    "It names nothing that tells it from other machines, so no place can be bound to it.",
    "没有可与其他设备区分的部件，因此无法绑定名额。",
)
LEARNS = both("It shows a new part, which it is bound to from then on: {part}.", "它有新部件，此后将与之绑定：{part}。")
UNSEEN = both(
    "The other device was last seen on {seen}; after {days} days its place may be freed.",
    "另一台设备最后出现于 {seen}；满 {days} 天后可释放其名额。",
)
NEVER_UNSEEN = both("The policy lets no program free another device's place.", "策略不允许程序释放其他设备的名额。")
FILE_HELD = both("The other device holds a license file that has not ended.", "另一台设备持有尚未到期的许可证文件。")
NO_SUCH_PLACE = both("No device of that name holds a place of the license.", "许可证没有占用名额的该设备。")
MOVES = both("Programs have made {made} of {most} moves.", "程序已迁移 {made} 次，上限 {most} 次。")
LEASE = both("A check-in then gives a lease until {until}.", "届时联网可获得租约，至 {until}。")
PART = both("{part} {verdict}", "{part}{verdict}")
GETS = both("It gets a license for {code}.", "它可获得 {code} 的许可证。")
GETS_NONE = both("It gets no license for {code}. {why}", "它得不到 {code} 的许可证：{why}")
