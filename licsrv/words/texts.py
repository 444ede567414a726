"""What refusals, differences and rows of a list say. The code says it in English, and stores it so. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from licsrv.words.actions import ACTIONS
from licsrv.words.sentences import Sentence, same

# By the English text, with a gap for what the code fills in.
TEXTS: Mapping[str, str] = {
    "A name has 1 to 60 of a-z, 0-9 and . _ @ -, and begins with a letter or digit.":
        "用户名为 1 到 60 个小写字母、数字及 . _ @ -，以字母或数字开头。",
    "Name at least one scope, and only such as tokens can have.": "请至少选择一项令牌可用的权限。",
    "No second factor waits for its first code.": "没有等待确认的两步验证。",
    "The new password is the old one.": "新密码与旧密码相同。",
    "The password is wrong.": "密码错误。",
    "An account already exists.": "已经有账号了。",
    "There is no such session.": "没有这个会话。",
    "There is no such token.": "没有这个令牌。",
    "This account has no second factor.": "该账号没有两步验证。",
    "This call did not come from our own pages.": "此请求不是从本站页面发出的。",
    "This is the last operator.": "这是最后一个运维账号。",
    "after is no cursor of this list.": "翻页位置无效。",
    "This password is too easy to guess.": "这个密码太容易被猜到。",
    "Use several words, without your account's name.": "请用几个词组成，不要包含用户名。",
    "You cannot change your own role.": "不能修改自己的角色。",
    "You cannot disable your own account.": "不能停用自己的账号。",
    "You cannot reset your own password.": "不能重置自己的密码。",
    "Ask another operator.": "请联系其他运维人员。",
    "Ask an operator for a role that may.": "请向运维人员申请有权限的角色。",
    "Prove again that it is you.": "请再次证明是您本人。",
    "Enter a new code of your authenticator app, or a recovery code.": "请输入验证器应用显示的新验证码，或恢复码。",
    "A proof is a code, or the password where there is no second factor.": "请提供验证码；未设置两步验证时提供密码。",
    "Enter your password.": "请输入您的密码。",
    "A token cannot give access that outlives it.": "令牌不能授予比自己更长久的访问权限。",
    "Let a person do it, in a session of their own.": "请由人员登录后操作。",
    "This account was not written by this server.": "该账号不是由本服务器写入的。",
    "See `licsrv doctor`.": "请运行 `licsrv doctor` 查看。",
    "This account became able to approve, or got new credentials, a short while ago.": "该账号刚获得审批权限，或刚被重置凭据。",
    "Ask another person who may approve bulk jobs, or wait.": "请由其他有审批权限的人员处理，或稍后再试。",
    "One person alone revokes at most {count} licenses within a day.": "一人一天内最多可单独撤销 {count} 个许可证。",
    "Create a bulk job: another person approves it.": "请新建批量操作，由另一人批准。",
    "You may not do this.": "您没有权限执行此操作。",
    "Ask for a new secret first.": "请先获取新的密钥。",
    "Begin at the first page.": "请从第一页开始。",
    "Choose another name, or enable it.": "请换一个用户名，或启用原账号。",
    "The code is wrong.": "验证码错误。",
    "Is the phone's clock right? Enter the code that is shown now.": "手机时间是否准确？请输入当前显示的验证码。",
    "Make another account an operator first.": "请先指定其他人为运维。",
    "Set one up first.": "请先设置。",
    "You are not signed in, or your session has ended.": "您尚未登录，或会话已结束。",
    "Sign in, or send an API token as Authorization: Bearer lsat_….": "请登录。",
    "Sign in.": "请登录。",
    "This set-up link is no longer valid.": "此设置链接已失效。",
    "Run `licsrv accounts link`: it prints a new one while there is no account.": "请运行 `licsrv accounts link`：没有账号时会打印新的链接。",
    "Name, password or code is wrong.": "用户名、密码或验证码错误。",
    "Try again; each code of the authenticator app counts once.": "请重试；每个验证码只能使用一次。",
    "Use a new key for each new call.": "请刷新页面后重试。",
    "Signing in failed too often from this address.": "此地址登录失败次数过多。",
    "Wait, and try again.": "请稍候再试。",
    "Wait as long as Retry-After says.": "请稍后再试。",
    "Signing in failed too often.": "登录失败次数过多。",
    "Wait, and try again; an operator can lift this by `licsrv accounts enable`.":
        "请稍后重试；运维人员可用 `licsrv accounts enable` 解除。",
    "Finish your account first.": "请先完成账号设置。",
    "There is nothing at this address.": "此地址没有内容。",
    "This address takes HTML forms only.": "此地址只接受页面表单。",
    "The form cannot be read.": "无法读取表单。",
    "The request cannot be read.": "无法读取请求。",
    "The body does not have the form that this address takes.": "填写的内容不符合要求。",
    "Mend the fields named in errors and send it again.": "请修改下列各项后重新提交。",
    "Too many people sign in at once; nothing was changed.": "同时登录的人数过多，未做任何更改。",
    "The service is too busy to answer; nothing was changed.": "服务繁忙，未做任何更改。",
    "Try again in a moment.": "请稍后重试。",
    "This Idempotency-Key was used for another call.": "此表单已提交过其他内容。",
    "There is no such job.": "没有这个批量操作。",
    "The list is empty.": "清单是空的。",
    "Send one code or license id in each line.": "每行填写一个授权码或许可证 ID。",
    "Split it.": "请拆分清单。",
    "The job is already closed.": "该批量操作已经结束。",
    "A second person has to decide, and this token belongs to no person.": "需由第二人决定，而此令牌不属于任何人。",
    "The person who created a job cannot decide about it.": "创建者不能审批自己的批量操作。",
    "Ask another person who may approve bulk jobs.": "请由其他有审批权限的人员处理。",
    "Another list of this job was uploaded meanwhile.": "此期间该批量操作上传了另一份清单。",
    "Check which list it has.": "请查看当前的清单。",
    "This job belongs to another person.": "这是其他人的批量操作。",
    "Create your own job.": "请新建自己的批量操作。",
    "until is out of bounds.": "截止日期超出范围。",
    "The license has changed meanwhile; nothing was done.": "许可证此期间已有变化，未做任何更改。",
    "Read it again.": "请重新查看。",
    "The service cannot sign this license now; nothing was changed.": "服务暂时无法签发此许可证，未做任何更改。",
    "See `licsrv outbox list`.": "请查看发件箱。",
    "Try again in two minutes.": "请两分钟后重试。",
    "Let it ask for its license again.": "请让该设备重新申请许可证。",
    "This device was never issued a license, or has returned it.": "该设备从未获得许可证，或已归还。",
    "Ask the customer for the device's fingerprint and paste it.": "请向客户索取设备指纹并粘贴。",
    "No marketplace is configured.": "尚未配置云商店。",
    "Give licsrv its AK and SK.": "请为 licsrv 配置 AK 和 SK。",
    "The license is released; nothing brings it back.": "许可证已退还，无法恢复。",
    "Only a confirmed license that ends can have a grace.": "只有已确认且有到期时间的许可证才能设置宽限期。",
    "The license is released; there is nothing left to maintain.": "许可证已退还，无需维护。",
    "The license is released; nothing is issued any more.": "许可证已退还，不再签发。",
    "The license is released; there is nothing left to revoke.": "许可证已退还，无需撤销。",
    "The marketplace did not answer.": "云商店没有应答。",
    "Try again in a minute.": "请一分钟后重试。",
    "The database is busy; nothing was changed.": "数据库繁忙，未做任何更改。",
    "The service is stopping; nothing was changed.": "服务正在停止，未做任何更改。",
    "This address does not take this method.": "此地址不支持该方法。",
    "The license has changed since the marketplace was asked.": "查询云商店之后，该许可证已有变化。",
    "Compare the license with the marketplace again, then decide.": "请重新与云商店核对该许可证，再作决定。",
    "The marketplace was asked too long ago.": "距上次查询云商店的时间过长。",
    "The marketplace has not answered: there is no value to adopt.": "云商店没有作答，没有可以采用的内容。",
    "The buyer has to receive the code at the marketplace; nothing can be done here.":
        "需由买家在云商店领取授权码，本系统无法处理。",
    "This answer is no longer valid.": "该查询结果已不再有效。",
    "There is no such difference; nothing was changed.": "没有这项差异，未做任何更改。",
    "A list has at most {bytes} bytes.": "清单最多 {bytes} 字节。",
    "A list has at most {lines} lines.": "清单最多 {lines} 行。",
    "A grace ends in the future, within {days} days.": "宽限期须在将来结束，且不超过 {days} 天。",
    "A grace ends later than the license itself.": "宽限期须晚于许可证的到期时间。",
    "A note has 1 to {characters} characters, and none that cannot be stored.":
        "备注须为 1 至 {characters} 个字符，且不含无法保存的字符。",
    "seat_id names the seat that is meant.": "请指明席位（seat_id）。",
    "{code} has no seat {seat}.": "{code} 没有席位 {seat}。",
    "See `licsrv seats list {code}`.": "请运行 `licsrv seats list {code}` 查看。",
    "device_id names the device that is meant.": "请用 device_id 指明设备。",
    "branch names the copy that is meant.": "请用 branch 指明要操作的副本。",
    "{license} has no device {device}.": "{license} 没有设备 {device}。",
    "See `licsrv devices list {license}`.": "请运行 `licsrv devices list {license}` 查看。",
    "No license has the code or id {name}.": "没有授权码或 ID 为 {name} 的许可证。",
    "No license has the code or id {name}. Did you mean {code}?":
        "没有授权码或 ID 为 {name} 的许可证。您要找的是 {code} 吗？",
    "There is no clock reset for this device.": "该设备没有时钟重置文件。",
    "Reset its clock first.": "请先重置该设备的时钟记录。",
    "This device holds no place on the license.": "该设备未占用此许可证的名额。",
    "The code has no visible character.": "授权码没有可见字符。",
    "The code has too many characters.": "授权码过长。",
    "Only one of {actions} can be done to a list.": "清单只支持以下操作：{actions}。",
    "{action} takes a date: until.": "操作 {action} 需要截止日期。",
    "{action} takes no date.": "操作 {action} 不需要截止日期。",
    "{action} takes no terms.": "操作 {action} 不需要条款。",
    "until names the new end.": "until 须为新的到期时间。",
    "A license is extended to a moment in the future.": "续期后的到期时间必须在将来。",
    "It ends later already, on {moment}.": "现有到期时间更晚：{moment}。",
    "An earlier end is one of its terms: change these.": "如需提前到期，请更改条款。",
    "terms names what is set.": "请指明要更改的条款。",
    "The job is {state}; it would have to be {states}.": "该批量操作的状态为 {state}，须为 {states}。",
    "More than {calls} calls within a minute.": "一分钟内的请求超过 {calls} 次。",
    "There is no account {name}.": "没有账号 {name}。",
    "There is an account {name} already.": "账号 {name} 已存在。",
    "A password has {least} to {most} characters.": "密码须为 {least} 至 {most} 个字符。",
    "A token ends in the future, within {days} days.": "令牌必须在未来 {days} 天之内到期。",
    "{what} may do what you may not.": "{what} 拥有您没有的权限。",
    "This API token is not valid.": "该 API 令牌无效。",
    "Ask an operator for a new one: `licsrv tokens new`.": "请向运维人员申请新的令牌。",
    "Send Origin and {header} (from GET /admin/api/session), or use an API token.":
        "请发送 Origin 和 {header}，或使用 API 令牌。",
    "There is no license with this code or id.": "没有使用该授权码或 ID 的许可证。",
    "There is no license with this code or id. Did you mean {code}?": "没有使用该授权码或 ID 的许可证。您要找的是 {code} 吗？",
    "An older version made this job at a terminal, and did not note whose.":
        "该任务由旧版本在终端创建，未记录是谁的终端。",
    "Let a person approve it in a session of the desk, or prepare it again.": "请由人员登录后批准，或重新准备该任务。",
    "Several licenses may be meant: write the code exactly.": "可能指多个许可证：请准确填写授权码。",
    "Several licenses may be meant by {name}: write the code exactly.": "{name} 可能指多个许可证：请准确填写授权码。",
    "An earlier line names the same license.": "前面的行已包含该许可证。",
    "This is neither a code nor an id.": "这不是授权码，也不是 ID。",
    "The license no longer exists.": "许可证已不存在。",
    "An internal error occurred; see the log.": "系统内部错误，请查看日志。",
    "The two passwords differ.": "两次输入的密码不一致。",
    "Only one of {words} can be asked for.": "只能查询：{words}。",
    "The body must be a list, as text or CSV.": "内容须为文本或 CSV 清单。",
    "Send the header Content-Type: text/csv.": "请使用 Content-Type: text/csv。",
    "The list cannot be read at line {line}: is a quoted cell left open?":
        "清单第 {line} 行无法读取：引号是否未闭合？",
    "There is no delivery {id}; nothing was changed.": "没有上报 {id}，未做任何更改。",
    "Delivery {id} has arrived; there is nothing to retry. Nothing was changed.":
        "上报 {id} 已送达，无需重试，未做任何更改。",
    "Delivery {id} has arrived; it cannot be taken back.": "上报 {id} 已送达，无法撤回。",
    "Delivery {id} is under way at this moment.": "上报 {id} 正在发送。",
    "{header} has 1 to 128 printable ASCII characters without blanks.":
        "{header} 须为 1 至 128 个可打印的 ASCII 字符，不含空格。",
    "`licsrv licenses list TEXT` finds it by its beginning.": "请用开头的字符搜索。",
    "{name} is one of {words}.": "{name} 只能是：{words}。",
    "{name} has characters that cannot be stored.": "{name} 含有无法保存的字符。",
    "after_seq is the number of an entry.": "after_seq 须为审计条目的序号。",
    "There is no callback {id}.": "没有回调 {id}。",
    "See `licsrv callbacks list`.": "请运行 `licsrv callbacks list` 查看。",
    "Name either ids or a kind, which after may go on with.": "请指明 ID 或类型。",
    "product names a product, by its id or its name.": "请用 ID 或名称指明产品。",
    "There is no such report; there are {reports}.": "没有这个报表；现有：{reports}。",
    "Ask for 1 to {days} days, the first one first.": "请选择 1 至 {days} 天，起始日期在前。",
    "This report can be split by {words}.": "该报表可按以下方式分组：{words}。",
    "{name} has at most {characters} characters.": "{name} 最多 {characters} 个字符。",
    "{name} must be a day such as 2027-01-31, from {first} to {last}.": "{name} 须为日期，如 2027-01-31，年份为 {first} 至 {last}。",
    "A license with this code exists already.": "使用该授权码的许可证已存在。",
    "{count} products are called {name}.": "有 {count} 个产品名为 {name}。",
    "Say which: {ids}.": "请指明：{ids}。",
    "The roll-out is 0 to 100 per cent.": "灰度比例须为 0 至 100。",
    "Version {version} is withdrawn.": "版本 {version} 已撤回。",
    "Publish it under a new number.": "请使用新的版本号发布。",
    "Nothing was published for {product}.": "{product} 尚未发布任何版本。",
    "{product} has no version {version} there.": "{product} 没有版本 {version}。",
    "There is no difference {id}; nothing was changed.": "没有差异 {id}，未做任何更改。",
    "No key pair (AK/SK) for the marketplace is configured.": "尚未配置云商店密钥对（AK/SK）。",
    "Set LICSRV_MARKETPLACE_AK and _SK.": "请设置 LICSRV_MARKETPLACE_AK 和 LICSRV_MARKETPLACE_SK。",
    "The marketplace has released this license for good, and here it is still in use.":
        "云商店已永久退还该许可证，而本系统仍在使用。",
    "Here the license is activated, and at the marketplace it is not.": "本系统已激活，云商店尚未激活。",
    "Here the license is activated, and at the marketplace its buyer has not received it.":
        "本系统已激活，云商店的买家尚未领取。",
    "The marketplace says that the license has expired, and here it has not.": "云商店显示已到期，本系统尚未到期。",
    "The marketplace says that the license may be used, and here it may not.": "云商店显示可使用，本系统不可使用。",
    "Here the license is frozen, and the marketplace says that it may be used.": "本系统已冻结，云商店显示可使用。",
    "Here the license has expired, and the marketplace says that it may be used.": "本系统已到期，云商店显示可使用。",
    "The marketplace names an end, and here the license never ends.": "云商店有到期时间，本系统为永久有效。",
    "The license lasts longer at the marketplace than here; a renewal did not arrive.":
        "云商店的到期时间晚于本系统：有一次续费未送达。",
    "The license ends earlier at the marketplace than here.": "云商店的到期时间早于本系统。",
    "The marketplace names another product.": "云商店是另一个商品。",
    "At the marketplace more was bought than is known here.": "云商店的购买数量多于本系统。",
    "At the marketplace less was bought than is known here.": "云商店的购买数量少于本系统。",
    "The marketplace does not know this license, or no longer.": "云商店没有（或不再有）该许可证。",
    "The marketplace answered about other licenses, and not about this one.":
        "云商店回答了其他许可证，唯独没有回答这一个。",
    "There is no account of this name.": "没有这个用户名的账号。",
    "product names a product by its id.": "product 须为产品 ID。",
    "No product is described under this id.": "没有描述过该产品 ID。",
    "Describe it: `licsrv products set`.": "请先运行 `licsrv products set` 描述该产品。",
    "The stored policy is damaged.": "已保存的策略已损坏。",
    "Go back to the version before: undo it.": "请撤销，恢复到上一版本。",
    "The policy has changed meanwhile; nothing was done.": "策略已被他人更改，未做任何操作。",
    "There is no earlier version of this policy.": "该策略没有更早的版本。",
    "Set the values that it shall have.": "请直接设置所需的值。",
    "The policy cannot be so.": "策略有误，未做任何更改。",
    "Correct each of these values.": "请逐项更正以下各值。",
    "These values contradict each other.": "以下各值相互矛盾，未做任何更改。",
    "Change one of these values.": "请更改其中一项。",
    "There is no such value.": "没有这个值。",
    "Say yes or no.": "请选择是或否。",
    "A whole number from {least} to {most}.": "须为 {least} 至 {most} 的整数。",
    "A number from {least} to {most}.": "须为 {least} 至 {most} 的数。",
    "The lease would end before the next check-in is due: every device would stop in between.":
        "租约会在下次签到之前到期，所有设备都会中途停用。",
    "The overdraft is a number or a share, not both.": "超额只能按个数或按比例，不能两者兼有。",
    "The lease would end before the borrowed seat: the program would stop while it is away.":
        "租约会在借出的席位之前到期，程序会在离线途中停用。",
    "The cool-down leaves no room for so many moves within these days.": "按此间隔，在累计天数内无法迁移这么多次。",
    "Ask the vendor's support.": "请联系软件商的客服。",
    "The stored policy of this license's product cannot be read.": "该产品保存的策略无法读取。",
}  # fmt: skip
_ALL = {**TEXTS, **{one.en: one.zh for words in ACTIONS.values() for one in words.also.values()}}
_GAP = re.compile(r"\\{\w+\\}")
_BETWEEN = re.compile(r"(?<=\.) (?=[A-Z0-9])")


@lru_cache(2000)
def in_both(text: str) -> Sentence:
    """Return what a refusal says in both languages; in English where the catalogue does not know it."""
    return _known(text) or same(text)


def _known(text: str) -> Sentence | None:
    """Return what the catalogue knows of a text: as a whole, or as several sentences each of which it knows."""
    if text in _ALL:
        return Sentence(en=text, zh=_ALL[text])
    if len(parts := _BETWEEN.split(text)) > 1:
        known = [_known(part) for part in parts]
        if all(known):
            return Sentence(en=text, zh="".join(one.zh for one in known if one is not None))
    for pattern, zh in _patterns():
        if (found := pattern.fullmatch(text)) is not None:
            return Sentence(en=text, zh=zh.format_map(found.groupdict()))
    return None


@cache
def _patterns() -> Sequence[tuple[re.Pattern[str], str]]:
    """Return the sentences that have gaps, each with what finds the gaps again."""
    return [(_pattern(en), zh) for en, zh in _ALL.items() if "{" in en]


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(_GAP.sub(lambda gap: f"(?P<{gap[0][2:-2]}>.+)", re.escape(sentence)), re.DOTALL)
