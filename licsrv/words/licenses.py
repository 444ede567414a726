"""What pages and the API say of a license: what it is, what is in its timeline, what a pasted text is. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from licsrv.words.sentences import Noun, Sentence, both

# What a license is and may do now.
PLACES_TAKEN = Noun(
    "{taken} of {count} place taken", "{taken} of {count} places taken", "已用 {taken} 台，共 {count} 台"
)
SEATS_TAKEN = Noun(
    "{taken} of {count} seat in use", "{taken} of {count} seats in use", "已用 {taken} 个席位，共 {count} 个"
)
UNUSABLE = both("It may not be used: {why}", "不可使用：{why}")
USABLE = both("It may be used until {until}, {places}.", "可使用至 {until}，{places}。")
ENDLESS = both("It may be used without an end, {places}.", "可使用，永久有效，{places}。")
PROVISIONAL = both(
    "It may be used provisionally until {until}, {places}: the marketplace has not confirmed it yet.",
    "可临时使用至 {until}，{places}：云商店尚未确认。",
)
IN_GRACE = both(
    "It has expired and may be used in its grace until {until}, {places}.",
    "已到期，宽限期内可使用至 {until}，{places}。",
)
# What is in a timeline.
NOTE = both("Note", "备注")
CALLBACK_DONE = both("Callback {name}: carried out", "云商店回调 {name}：成功")
CALLBACK_ANSWERED = both("Callback {name}: answered {code}", "云商店回调 {name}：以 {code} 应答")
CONTACT = both("{device} checked in {times}: {status}", "{device}：当日联系 {times}，{status}")
DEVICE = both("Device {name}", "设备 {name}")
SOME_DEVICE = both("A device", "设备")
TIMES = Noun("{count} time", "{count} times", "{count} 次")
DELIVERY = both("{what}: {how}", "{what}：{how}")
ORDER = both("Order ({scene})", "订单（{scene}）")

# What a pasted license, file or lease is.
LEASE_COUNTS = both("We signed this lease, and it is valid now.", "这是我们签发的租约，现在有效。")
LICENSE_COUNTS = both("We issued this license, and it is valid now.", "这是我们签发的许可证，现在有效。")
NOT_OURS = both(
    "We did not issue this, or it was changed: it fits none of our signing keys.",
    "不是我们签发的，或已被改动：没有任何签名密钥与之相符。",
)
KEY_RETIRED = both(
    "The key that signed it has been retired: let the software ask for a new license.",
    "签发它的密钥已停用：请软件重新获取许可证。",
)
NOT_ON_RECORD = both(
    "The signature is ours, but the text was changed after signing, or there is no record of it.",
    "签名是我们的，但没有相应的签发记录（或文件被改动过）。",
)
GIVEN_BACK = both(
    "It is on the revocation list: its device returned the place, or the license was reissued.",
    "已列入撤销清单：设备归还了名额，或许可证已重新签发。",
)
NO_PLACE = both(
    "Its device holds no place now: let the software ask for a new license.",
    "该设备已不占用名额：请软件重新获取许可证。",
)
HAS_ENDED = both(
    "It ended {at}, but the license may be used: let the software ask for a new one.",
    "它本身已于 {at} 到期，但许可证可用：请软件重新获取。",
)
LEASE_IS_OLD = both(
    "When this lease was signed the license could not be used; now it can: let the software check in once.",
    "该租约签发时许可证不可用，现在已可使用：请软件联网一次。",
)

# What the marketplace says of it, and what repairing a difference does.
DIFFERS = both("It differs from the marketplace: {kinds}.", "与云商店不一致（{kinds}）。")
UNKNOWN_THERE = both("The marketplace has no record of it.", "云商店没有关于它的记录。")
AGREES = both("It agrees with the marketplace.", "与云商店一致。")
REPAIRING: Mapping[str, Sentence] = {
    "STATUS": both("The license will get the marketplace's status.", "许可证将采用云商店的状态。"),
    "EXPIRY": both("The license will end when the marketplace says.", "许可证将采用云商店的到期时间。"),
    "PRODUCT": both("The license will be for the marketplace's product.", "许可证将改为云商店的商品。"),
    "AMOUNT": both("The license will have the marketplace's amount.", "许可证将改为云商店的数量。"),
    "UNKNOWN": both("The license will be revoked; reinstating it undoes that.", "许可证将被撤销；之后可以恢复。"),
    "UNANSWERED": both(
        "The marketplace has not answered: there is no value to adopt.", "云商店没有作答，没有可以采用的内容。"
    ),
    "RELEASED": both("The license will end for good; that cannot be undone.", "许可证将永久终止，无法撤回。"),
    "NOT_ACTIVATED": both("The code will be activated at the marketplace.", "将在云商店激活该授权码。"),
    "NOT_RECEIVED": both(
        "The buyer has to receive the code at the marketplace; nothing can be done here.",
        "需由买家在云商店领取授权码，本系统无法处理。",
    ),
}
