"""Ray Train: warm worker groups and the channel that feeds them."""
