"""What can go wrong with a campaign, one class per thing the caller does about it."""


class CampaignError(Exception):
    """Base of all."""


class ParametersInvalid(CampaignError):
    """The form's values cannot be used; a person corrects them and starts a new run."""


class ParametersChanged(CampaignError):
    """The same run came back with other parameters: what was approved is not what is asked now. Start a new
    run.
    """


class PlanChanged(CampaignError):
    """The plan is not the one that was approved; approve again."""


class CampaignNotReady(CampaignError):
    """The campaign's state does not allow this step."""


class GatewayUnreachable(CampaignError):
    """Nothing could be sent for a while and nothing is in flight; the task may be retried as it is."""


class SenderStopped(CampaignError):
    """The gateway refuses every message (token, balance): the campaign is paused until a person acts."""
