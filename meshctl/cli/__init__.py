"""The command line: parse, call, exit code. One module per command family; nothing below it prints.

Only click is imported with these modules, so that `meshctl --help` costs next to nothing; everything else is
imported by the command that needs it.
"""
