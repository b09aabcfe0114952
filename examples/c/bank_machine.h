/* A replicated bank: a state machine in C, behind the interface that bop's own machines use (bop/machine.h).
 *
 * Its state is accounts and their balances, in memory alone; what is durable of it is the log of its commands, and
 * bop's newest snapshot.
 *
 *   command  open NAME                  NAME: 1 to 31 letters a to z
 *            deposit NAME AMOUNT        AMOUNT: 1 to 1000000000
 *            transfer FROM TO AMOUNT    replies CONDITION_FAILED if FROM has less
 *   query    balance NAME
 *            total                      of all accounts
 *
 * The reply is the new balance, the total, or for a transfer the new balance of FROM, as decimal text. The status is
 * PROTOCOL for anything else, NOT_FOUND for an account that was not opened, CONDITION_FAILED for one that was opened
 * before, OVERFLOW if a balance would exceed its limit, TOO_LARGE if there are too many accounts.
 */
#ifndef BANK_MACHINE_H
#define BANK_MACHINE_H

#include "bop/machine.h"

/* Of kind "bank". Any number of nodes of a process may use it. */
const bop_machine_table* bank_machine(void);

#endif
