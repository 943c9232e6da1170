"""The command line: which NSG, which rule, which port, straight from the storage account.

`main` has the commands and imports what each needs when it runs, so that `--help` is quick;
`read` brings flows in, `text` and `formats` put them out, and each other module is a command.
"""
