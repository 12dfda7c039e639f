"""Operators for anybody's Dag."""

from cm_com.operators.message_log import CmComMessageLogOperator
from cm_com.operators.send import CmComSendOperator

__all__ = ["CmComMessageLogOperator", "CmComSendOperator"]
