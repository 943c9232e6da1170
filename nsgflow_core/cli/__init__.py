"""The command line: which NSG, which rule, which port, straight from the storage account.

`main` lists the commands. Each is in the file of its name: its options, its help, and what it
does. What they share is in files named for what it is; `accounts`, `listing`, `query` and `read`
bring flows in, `text` and `formats` put them out.

A command's file is imported when the command is asked for, and what it works with when it runs,
so that `--help` answers at once.
"""
