"""Operations on tables: plan, execute, journal.

Each kind is a module with two functions: `plan(table, ref, options, keep)` reads metadata only and changes nothing,
`execute(work, options)` does it, planning anew on what the table has then.
"""
