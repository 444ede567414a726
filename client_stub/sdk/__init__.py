"""The vendor SDK's calls and events, with the license server or ISCDesk behind them."""

from client_stub.sdk.invoker import EventRecall, Iscdesk, ResultStatus, SdkInvoker

__all__ = ["EventRecall", "Iscdesk", "ResultStatus", "SdkInvoker"]
