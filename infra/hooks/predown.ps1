# Stops azd down: it deletes every resource group that a deployment put something into, which are
# also the groups of the flow-log accounts and of an existing workspace, with all that is in them.
[Console]::Error.WriteLine(@'
nsgflow: azd down is switched off here. It would delete whole resource groups that nsgflow only
added to: those of your flow-log accounts, and of your workspace if you brought one.
docs/deployment.md, "Uninstall", has the commands that remove nsgflow and nothing else.
'@)
exit 1
