"""What each value of a policy means, and what a change of it does. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from licsrv.words.sentences import Noun, Sentence, both

MEANINGS: Mapping[str, Mapping[str, Sentence]] = {
    # By the value where one has a meaning of its own; the empty word is any other.
    "places.limit": {
        "": both(
            "A license has {value} places; where its amount counts devices, so many for each unit.",
            "每个许可证有 {value} 个名额；若购买数量即设备数，则每个单位有 {value} 个。",
        ),
        "none": both(
            "A license has as many places as its amount, or as the setting says.",
            "名额数等于购买数量；没有数量时按系统设置。",
        ),
    },
    "places.amount_counts": {
        "yes": both("The amount bought counts devices.", "购买数量即设备数量。"),
        "no": both("The amount bought does not count devices.", "购买数量不代表设备数量。"),
    },
    "places.floating": {
        "yes": both(
            "Places float: programs take a seat while they run, on any device.",
            "名额浮动：程序运行时占用席位，不限设备。",
        ),
        "no": both("Places are fixed: a device keeps its place.", "名额固定：设备一直占用其名额。"),
    },
    "places.overdraft": {
        "": both(
            "{value} more than were bought are admitted, marked and reported.",
            "可超出购买数量 {value} 个，会予以标记和报告。",
        ),
        "0": both("No fixed number beyond what was bought is admitted.", "不允许超出购买数量的固定个数。"),
    },
    "places.overdraft_percent": {
        "": both(
            "{value} percent more than were bought are admitted, marked and reported.",
            "可超出购买数量的 {value}%，会予以标记和报告。",
        ),
        "0": both("No share beyond what was bought is admitted.", "不允许按比例超出购买数量。"),
    },
    "places.surplus": {
        "staff": both(
            "When places become fewer, devices in use keep theirs, and the desk shows the license.",
            "名额减少时，在用设备保留名额，并在工作台中显示该许可证。",
        ),
        "keep": both(
            "When places become fewer, devices in use keep theirs until they leave.",
            "名额减少时，在用设备保留名额，直到归还。",
        ),
        "newest-out": both(
            "When places become fewer, the devices that came last lose theirs.", "名额减少时，最后加入的设备失去名额。"
        ),
    },
    "recognition.learned_parts": {
        "": both(
            "After repairs a device may be bound to {value} new parts within the days below.",
            "设备维修后，在下述天数内最多可绑定 {value} 个新部件。",
        ),
        "0": both("A device is never bound to a new part.", "设备从不绑定新部件。"),
    },
    "recognition.learned_days": {
        "": both("New parts are counted within {value} days.", "新部件在 {value} 天内累计。"),
    },
    "recognition.weak_binding": {
        "yes": both(
            "A virtual machine or container without facts of its own may be bound to its installation.",
            "没有自身硬件特征的虚拟机或容器，可以绑定到其安装标识。",
        ),
        "no": both(
            "A virtual machine or container without facts of its own gets no place.",
            "没有自身硬件特征的虚拟机或容器，不能占用名额。",
        ),
    },
    "recognition.virtual_machines": {
        "yes": both("Virtual machines get places as other machines do.", "虚拟机与其他设备一样可占用名额。"),
        "no": both(
            "A virtual machine or container gets no place; one that has a place keeps it.",
            "虚拟机或容器不能占用名额；已占用的保留。",
        ),
    },
    "moves.per_place": {
        "": both(
            "Programs may give each place back {value} times within the days below.",
            "在下述天数内，程序最多可自行归还每个名额 {value} 次。",
        ),
        "0": both("Programs never give a place back; staff does.", "程序不能自行归还名额，只能由客服释放。"),
    },
    "moves.days": {"": both("Moves are counted within {value} days.", "迁移次数在 {value} 天内累计。")},
    "moves.cool_down_hours": {
        "": both(
            "Between two moves of one place are at least {value} hours.", "同一名额两次迁移至少间隔 {value} 小时。"
        ),
        "0": both("Moves of one place need no time in between.", "同一名额的两次迁移之间无需间隔。"),
    },
    "moves.file_holds_place": {
        "yes": both(
            "A device with a license file keeps its place until the file ends.",
            "持有许可证文件的设备，在文件到期前一直保留名额。",
        ),
        "no": both(
            "A device may give its place back although it holds a license file.",
            "设备即使持有许可证文件，也可以归还名额。",
        ),
    },
    "moves.unseen_days": {
        "": both(
            "A program may free the place of a device that was not seen for {value} days.",
            "程序可以释放连续 {value} 天未出现的设备的名额。",
        ),
        "0": both("A program never frees the place of another device.", "程序不能释放其他设备的名额。"),
    },
    "moves.unseen_released": {
        "yes": both(
            "The place of a device that was not seen for so long is freed by itself, once a day.",
            "长期未出现的设备，其名额每天自动释放一次。",
        ),
        "no": both(
            "The place of a device that was not seen for so long is freed by a program or by staff.",
            "长期未出现的设备，其名额由程序或客服释放。",
        ),
    },
    "moves.show_names": {
        "yes": both(
            "A machine that gets no place reads the names of the devices whose places it may take.",
            "没有名额的设备可以看到可被替换的设备名称。",
        ),
        "no": both(
            "A machine that gets no place reads no names of other devices.", "没有名额的设备看不到其他设备的名称。"
        ),
    },
    "time.check_in_hours": {
        "": both("A device checks in every {value} hours.", "设备每 {value} 小时签到一次。"),
    },
    "time.grace_hours": {
        "": both("A device works for {value} hours without contact.", "设备失去联系后仍可使用 {value} 小时。"),
    },
    "floating.seat_minutes": {
        "": both(
            "A seat is free {value} minutes after its program was last heard of.",
            "程序失去联系 {value} 分钟后，席位即释放。",
        ),
    },
    "floating.shared_by_user": {
        "yes": both("Programs of one user on one device share a seat.", "同一用户在同一设备上的多个程序共用一个席位。"),
        "no": both("Each running program takes a seat.", "每个运行中的程序占用一个席位。"),
    },
    "floating.show_names": {
        "yes": both("A refusal names the devices that hold the seats.", "席位已满时，会告知占用席位的设备名称。"),
        "no": both(
            "A refusal does not name the devices that hold the seats.", "席位已满时，不告知占用席位的设备名称。"
        ),
    },
    "floating.borrow_days": {
        "": both("A seat may be borrowed for up to {value} days.", "席位最多可借出 {value} 天。"),
        "0": both("Seats are not borrowed.", "席位不可借出。"),
    },
    "floating.borrow_percent": {
        "": both(
            "At most {value} percent of the seats are borrowed at once, but always one.",
            "同时借出的席位最多占 {value}%，但至少可借出一个。",
        ),
    },
    "floating.return_hours": {
        "": both(
            "A borrowed seat cannot be given back in its first {value} hours.",
            "借出的席位在最初 {value} 小时内不能归还。",
        ),
        "0": both("A borrowed seat can be given back at once.", "借出的席位可随时归还。"),
    },
    "clones.action": {
        "off": both("Copies of a machine are not looked for.", "不检测机器副本。"),
        "warn": both(
            "Two copies of a machine in use are put on the desk; both work.",
            "若同一台机器有两份副本在使用，工作台会提醒；两者均可继续使用。",
        ),
        "refuse": both(
            "Two copies of a machine in use stop until staff lets one of them work.",
            "若同一台机器有两份副本在使用，两者都停用，直到客服放行其中一份。",
        ),
    },
}

GOING = Noun(
    "{count} license gets more devices in use than places. Their newest devices lose their places within a minute.",
    "{count} licenses get more devices in use than places. Their newest devices lose their places within a minute.",
    "{count} 个许可证的在用设备将多于名额。最新的设备将在一分钟内失去名额。",
)
OVERFULL = Noun(
    "{count} license gets more devices in use than places. They keep their places; one that leaves cannot come back.",
    "{count} licenses get more devices in use than places. They keep their places; one that leaves cannot come back.",
    "{count} 个许可证的在用设备将多于名额。这些设备保留名额，但归还后无法再次占用。",
)
FLOATS = Noun(
    "{count} device gets a license that needs a seat, when it next asks for one. "
    "A version of the program that knows no seats refuses it.",
    "{count} devices get a license that needs a seat, when they next ask for one. "
    "A version of the program that knows no seats refuses it.",
    "{count} 台设备下次请求时将得到需要席位的许可证；不支持席位的程序版本会拒绝该许可证。",
)
SILENT = Noun(
    "{count} device has not checked in for longer than the new grace. It works until its lease ends; "
    "with the new grace it would have stopped already.",
    "{count} devices have not checked in for longer than the new grace. They work until their leases end; "
    "with the new grace they would have stopped already.",
    "{count} 台设备未签到的时间已超过新的宽限时长。它们可用到当前租约到期；若按新的时长，它们已经停用。",
)
WEAKLY_BOUND = Noun(
    "{count} device is weakly bound. It keeps its place; once given back, it gets none again.",
    "{count} devices are weakly bound. They keep their places; once given back, they get none again.",
    "{count} 台设备为弱绑定。它们保留名额，但归还后无法再次占用。",
)
LEARNED = Noun(
    "{count} device has used up the new budget of parts. The next new part is not learned until the days are over.",
    "{count} devices have used up the new budget of parts. The next new part is not learned until the days are over.",
    "{count} 台设备已用完新的部件额度，在累计天数结束前不再绑定新部件。",
)
UNMOVABLE = Noun(
    "{count} device can no longer give its place back by itself; staff can release it.",
    "{count} devices can no longer give their places back by themselves; staff can release them.",
    "{count} 台设备将不能自行归还名额，只能由客服释放。",
)
UNSEEN = Noun(
    "{count} device was not seen for so long. Its place is freed within a day.",
    "{count} devices were not seen for so long. Their places are freed within a day.",
    "{count} 台设备已超过该天数未出现，其名额将在一天内释放。",
)
COPIED = Noun(
    "{count} machine is in use in two copies. Both stop at their next check-in, until staff lets one of them work.",
    "{count} machines are in use in two copies. Copies stop at their next check-in, until staff lets one of each work.",
    "{count} 台机器有两份副本在使用。这些副本在下次联网时停用，直到客服放行其中一份。",
)
