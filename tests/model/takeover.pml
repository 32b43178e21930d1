/* How a role changes its lead: tribed, two slots for copies of memory-jr, the archive, two callers, and what may befall them.
 * tests/model/run checks it with spin; docs/adr/0016-takeover-model.md says what is modelled and what is not.
 *
 *  - Who leads is decided by the role's robust mutex: who holds it leads; the kernel takes it from the dead at once and from
 *    nobody else. tribed hears of everything late; it spawns what is missing and kills what is stopped. A stopped lead keeps
 *    the mutex until it is killed.
 *  - Who takes the mutex raises the role's epoch on the page beside it, replays the archive's rows, says jr.lead and serves
 *    reads; then it claims the archive (the epoch row, under the write lock), replays again and serves writes.
 *  - A process that was killed may leave a transaction behind that ends later: its writer's thread until it is reaped, a
 *    commit on its way to the disk or to a server even after that.
 *
 * One step is one option of a loop, and indivisible. An answer is read at the instant it is sent: one that is lost on its
 * way is as good as one that was never sent, and to call it an acknowledgement is the stricter reading.
 *
 *  FAULTS=n   kills and stops, together; with BOOKS also deaths of tribed, which without them is the same as a slow one
 *  OPS=n      operations of each caller: caller 0 writes, then recalls; caller 1 recalls, then writes; at most 2
 *  BOOKS      tribed's books (what it reads from its channels, and who leads by it) instead of the callers: nothing else
 *             in the model looks at either
 *  LIVENESS   the formulae over time; else what must never happen, of which CHECK picks some
 *  BROKEN_... what must be found out; each goes wrong in one place */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef OPS
#define OPS 2
#endif

#define ONE_LEAD   1  /* who answers is the lead of the newest epoch, and the only one that ever answered in it */
#define REMEMBER   2  /* what was acknowledged is in the archive, and every recall asked for later sees it */
#define ONE_EFFECT 4  /* a request has one effect, however often it is sent */
#define UNFENCED   8  /* a living lead is never fenced off by one that came before it */
#define TRUTH      16 /* tribed knows who leads once it has heard everything */
#ifndef CHECK
#define CHECK 31 /* all; a broken variant is to be rejected by the one that it is made for */
#endif
#define HOLDS(property, what) assert(!(CHECK & property) || (what))

#define SLOTS   2
#define CALLERS 2
#define NOBODY  2 /* no slot; a connection that nobody has accepted yet */
#define GONE    3 /* the process at the other end is dead */

/* ---- a slot's process ---- */
#define ABSENT   0
#define STARTING 1
#define WAITING  2 /* said hello; waits for the mutex: an understudy */
#define TOOK     3 /* holds the mutex, raised the epoch */
#define READS    4 /* replayed once: serves reads */
#define CLAIMED  5 /* its epoch is the archive's */
#define LEADS    6 /* replayed twice: serves writes too */
#define DEAD     7 /* not reaped yet */
byte stage[SLOTS];
bool stopped[SLOTS];
byte epoch[SLOTS]; /* in which it took the mutex */
byte idx[SLOTS];   /* the rows that its recalls see: a bit for each write */
#define alive(s)   (stage[s] >= STARTING && stage[s] <= LEADS)
#define running(s) (alive(s) && !stopped[s])

/* ---- the role's page ---- */
byte owner = NOBODY; /* of the mutex */
byte page;           /* the epoch */
byte acker;          /* who answered in it: 0 nobody, 1 + slot, or GONE: one that is dead */

/* ---- the archive ---- */
byte row;           /* the epoch row */
byte rows;          /* committed writes, and with them their request ids */
byte lock = NOBODY; /* slot whose transaction is open */
#define NONE  0
#define CLAIM 1 /* wants to claim the lead */
#define WRITE 2 /* wants to write */
#define OPEN  3 /* in its transaction, epoch checked */
#define ADDED 4 /* committed; not answered yet */
#define KNOWN 5 /* the id was there; not answered yet */
byte tx[SLOTS];
byte job[SLOTS];   /* whose write: the caller */
bool other[SLOTS]; /* under another id than the first time (a broken variant) */
bool ghost[SLOTS]; /* whose transaction it was is dead */

/* ---- the callers ---- */
byte at[CALLERS] = NOBODY; /* slot, NOBODY (in the socket's queue) or GONE */
bool news[CALLERS];        /* an unread jr.lead of a newer epoch than its connection's */
byte lead_slot = NOBODY;   /* who said the latest one */
byte op[CALLERS];          /* how many are done */
bool busy[CALLERS];
bool asked[CALLERS];  /* the request lies unread on the connection */
bool resent[CALLERS]; /* ... under another id (a broken variant) */
byte must[CALLERS];   /* what was acknowledged to anybody before the recall was sent */
byte acked;
#define bit(c)    (1 << (c))
#define writes(c) ((op[c] + c) % 2 == 0)

/* ---- tribed ---- */
#define HELLO 1
#define LEAD  2
byte said[SLOTS]; /* what it has not read yet */
byte view[SLOTS]; /* ABSENT, STARTING, WAITING, or LEADS: it took the mutex, once */
byte lead = NOBODY;
byte heard; /* the highest epoch of a lead that said so */

#ifdef TRACE
mtype = { spawn, anew, adopt, waits, leads, lost, stops, appoint, second, promote, vacated, serves, replaces, kill, nothing };
#define TOLD(what, s, e, act) printf("trace: %e %d %d %e %d\n", what, s, e, act, lead)
#else
#define TOLD(what, s, e, act) skip
#endif

inline lets_go(c, s)
{
	if
	:: at[c] == s -> at[c] = GONE; asked[c] = false
	:: else
	fi
}

inline dies(s)
{
	if
	:: owner == s -> owner = NOBODY
	:: else
	fi;
	stage[s] = DEAD;
	stopped[s] = false;
	idx[s] = 0;
	if
	:: tx[s] == ADDED || tx[s] == KNOWN -> tx[s] = NONE
	:: tx[s] == CLAIM || tx[s] == WRITE || tx[s] == OPEN -> ghost[s] = true
	:: else
	fi;
	lets_go(0, s);
	lets_go(1, s);
	if
	:: lead_slot == s -> lead_slot = NOBODY; news[0] = false; news[1] = false
	:: else
	fi;
	if
	:: acker == 1 + s -> acker = GONE
	:: else
	fi
}

inline finished(c)
{
	busy[c] = false;
	resent[c] = false;
	must[c] = 0;
	op[c]++
}

inline answers(s)
{
	HOLDS(ONE_LEAD, epoch[s] == page && (acker == 0 || acker == 1 + s));
	acker = 1 + s
}

inline takes_mutex(s)
{
	owner = s;
#ifndef BROKEN_EPOCH_KEPT
	page++;
	acker = 0;
#endif
	epoch[s] = page;
	stage[s] = TOOK
}

/* Where a follower stood before does not matter: this brings it up to what is committed. */
inline replays(s)
{
	idx[s] = rows
}

inline says_lead(s)
{
	stage[s] = READS;
#ifdef BOOKS
	said[s] = said[s] | LEAD;
#endif
	lead_slot = s;
	news[0] = true;
	news[1] = true
}

inline accepts(s, c)
{
	at[c] = s;
	news[c] = news[c] && lead_slot != s
}

inline recalls(s, c)
{
	asked[c] = false;
	answers(s);
	HOLDS(REMEMBER, (idx[s] & must[c]) == must[c]);
	finished(c)
}

inline submits(s, c)
{
	asked[c] = false;
	tx[s] = WRITE;
	job[s] = c;
	other[s] = resent[c]
}

/* Who has dropped this connection meanwhile does not get it. */
inline acknowledges(s)
{
	if
	:: tx[s] == ADDED -> replays(s) /* nobody else commits: it is this row */
	:: else
	fi;
	tx[s] = NONE;
	if
	:: at[job[s]] == s ->
		answers(s);
		HOLDS(REMEMBER, rows & bit(job[s]));
		acked = acked | bit(job[s]);
		finished(job[s])
	:: else
	fi;
	job[s] = 0;
	other[s] = false
}

#define wants(s, c) (running(s) && asked[c] && at[c] == s)

active [SLOTS] proctype jr()
{
	byte s = _pid;

end:	do
#ifdef BOOKS
	:: d_step { running(s) && stage[s] == STARTING -> stage[s] = WAITING; said[s] = HELLO }
#endif
#ifdef BROKEN_NO_FIRST_REPLAY
	:: d_step { running(s) && stage[s] == WAITING && idx[s] != rows -> replays(s) }
#endif
	:: d_step { running(s) && stage[s] == WAITING && owner == NOBODY -> takes_mutex(s) }
	:: d_step {
		running(s) && stage[s] == TOOK ->
#ifndef BROKEN_NO_FIRST_REPLAY
		replays(s);
#endif
		says_lead(s)
	   }
#ifndef BOOKS
	:: d_step { running(s) && stage[s] == READS && tx[s] == NONE -> tx[s] = CLAIM }
	:: d_step {
		running(s) && stage[s] == CLAIMED ->
#ifndef BROKEN_NO_SECOND_REPLAY
		replays(s);
#endif
		stage[s] = LEADS
	   }
	:: d_step { running(s) && stage[s] >= READS && at[0] == NOBODY -> accepts(s, 0) }
	:: d_step { running(s) && stage[s] >= READS && at[1] == NOBODY -> accepts(s, 1) }
	:: d_step { wants(s, 0) && stage[s] >= READS && !writes(0) -> recalls(s, 0) }
	:: d_step { wants(s, 1) && stage[s] >= READS && !writes(1) -> recalls(s, 1) }
	:: d_step { wants(s, 0) && stage[s] == LEADS && writes(0) && tx[s] == NONE -> submits(s, 0) }
	:: d_step { wants(s, 1) && stage[s] == LEADS && writes(1) && tx[s] == NONE -> submits(s, 1) }
	:: d_step { running(s) && (tx[s] == ADDED || tx[s] == KNOWN) -> acknowledges(s) }
#ifdef BROKEN_EARLY_ANSWER
	:: d_step {
		running(s) && tx[s] == OPEN && at[job[s]] == s && !(acked & bit(job[s])) ->
		answers(s);
		HOLDS(REMEMBER, rows & bit(job[s]));
	   }
#endif
#endif
	od
}

#ifndef BOOKS
/* ---- the writers' threads, and what a kill leaves of them. A stopped process may be one whose loop hangs and whose writer
 * does not, so they go on. ---- */

inline fenced(s)
{
	HOLDS(UNFENCED, ghost[s]);
	tx[s] = NONE;
	if
	:: ghost[s] -> ghost[s] = false
	:: else -> dies(s)
	fi
}

inline claimed(s)
{
	tx[s] = NONE;
	if
	:: ghost[s] -> ghost[s] = false
	:: else -> stage[s] = CLAIMED
	fi
}

inline claims(s)
{
	if
#if defined(BROKEN_BLIND_CLAIM)
	:: true -> row = (row + 1 > epoch[s] -> row + 1 : epoch[s]); claimed(s)
#elif defined(BROKEN_EPOCH_KEPT)
	:: true -> row = epoch[s]; claimed(s)
#else
	:: row < epoch[s] -> row = epoch[s]; claimed(s)
	:: else -> fenced(s)
#endif
	fi
}

inline begins(s)
{
	if
#ifdef BROKEN_NO_CHECK
	:: true -> lock = s; tx[s] = OPEN
#else
	:: row == epoch[s] -> lock = s; tx[s] = OPEN
	:: else -> fenced(s)
#endif
	fi
}

/* The id is looked for in the transaction that would write it. */
inline commits(s)
{
	if
	:: (rows & bit(job[s])) && !other[s] -> tx[s] = KNOWN
	:: else ->
		HOLDS(ONE_EFFECT, !(rows & bit(job[s])));
		rows = rows | bit(job[s]);
		tx[s] = ADDED
	fi;
	lock = NOBODY;
	if
	:: ghost[s] ->
#ifdef BROKEN_OTHER_THREAD
		if /* by the thread that committed, which may outlive the one that holds the mutex */
		:: stage[s] == DEAD -> answers(s)
		:: else
		fi;
#endif
		ghost[s] = false; tx[s] = NONE; job[s] = 0; other[s] = false
	:: else
	fi
}

inline rolls_back(s)
{
	ghost[s] = false;
	tx[s] = NONE;
	job[s] = 0;
	other[s] = false;
	if
	:: lock == s -> lock = NOBODY
	:: else
	fi
}

active proctype writers()
{
end:	do
	:: d_step { tx[0] == CLAIM && lock == NOBODY -> claims(0) }
	:: d_step { tx[1] == CLAIM && lock == NOBODY -> claims(1) }
	:: d_step { tx[0] == WRITE && lock == NOBODY -> begins(0) }
	:: d_step { tx[1] == WRITE && lock == NOBODY -> begins(1) }
	:: d_step { tx[0] == OPEN -> commits(0) }
	:: d_step { tx[1] == OPEN -> commits(1) }
	:: d_step { ghost[0] -> rolls_back(0) }
	:: d_step { ghost[1] -> rolls_back(1) }
	od
}

/* ---- callers ---- */

inline asks(c)
{
	busy[c] = true;
	asked[c] = (at[c] != GONE);
	must[c] = (writes(c) -> 0 : acked)
}

/* To another connection: what was not answered goes there, under the same id. */
inline turns(c, to)
{
	at[c] = to;
#ifdef BROKEN_NO_RESEND
	asked[c] = false
#else
	asked[c] = busy[c]
#endif
#ifdef BROKEN_NEW_ID
	; resent[c] = busy[c]
#endif
}

active [CALLERS] proctype caller()
{
	byte c = _pid - SLOTS - 1; /* after the slots and the writers */

end:	do
	:: d_step { !busy[c] && op[c] < OPS -> asks(c) }
	:: d_step { news[c] -> news[c] = false; turns(c, lead_slot) }
	:: d_step { at[c] == GONE -> turns(c, NOBODY) } /* the connection's end */
	od
}
#endif

/* ---- tribed ---- */

inline spawns(s)
{
#ifdef BOOKS
	stage[s] = STARTING;
	view[s] = STARTING;
	if
	:: lead == NOBODY -> lead = s; TOLD(spawn, s, 0, appoint)
	:: else -> TOLD(spawn, s, 0, second)
	fi
#else
	stage[s] = WAITING
#endif
}

inline hears_hello(s)
{
	said[s] = said[s] & LEAD;
	view[s] = WAITING;
	if
	:: lead == NOBODY -> lead = s; TOLD(waits, s, 0, promote)
	:: else -> TOLD(waits, s, 0, nothing)
	fi
}

/* Two channels tell in any order: an older epoch is no news. Who led before is dead, whatever SIGCHLD has said so far. */
inline hears_lead(s)
{
	said[s] = 0;
	view[s] = LEADS;
	if
#ifdef BROKEN_OLD_NEWS
	:: true ->
#else
	:: epoch[s] > heard ->
#endif
		heard = epoch[s];
		if
		:: lead != NOBODY && lead != s && view[lead] == LEADS -> lead = s; TOLD(leads, s, epoch[s], replaces)
		:: else -> lead = s; TOLD(leads, s, epoch[s], serves)
		fi
	:: else -> TOLD(leads, s, epoch[s], nothing)
	fi
}

/* What it said and tribed has not read goes with its channel. */
inline reaps(s)
{
	stage[s] = ABSENT;
	said[s] = 0;
	epoch[s] = 0;
	if
	:: tx[s] == CLAIM || tx[s] == WRITE -> tx[s] = NONE; ghost[s] = false; job[s] = 0; other[s] = false
	:: else
	fi;
#ifdef BOOKS
	view[s] = ABSENT;
	if
	:: lead == s && view[1 - s] == WAITING -> lead = 1 - s; TOLD(lost, s, 0, promote)
	:: lead == s && view[1 - s] != WAITING -> lead = NOBODY; TOLD(lost, s, 0, vacated)
	:: else -> TOLD(lost, s, 0, nothing)
	fi
#endif
}

#ifdef BOOKS
inline adopts(s)
{
	if
	:: stage[s] == ABSENT -> view[s] = ABSENT
	:: else ->
		view[s] = STARTING;
		if
		:: lead == NOBODY -> lead = s; TOLD(adopt, s, 0, appoint)
		:: else -> TOLD(adopt, s, 0, second)
		fi;
		if
		:: alive(s) -> said[s] = (stage[s] >= WAITING -> HELLO : 0) | (stage[s] >= READS -> LEAD : 0)
		:: else
		fi
	fi
}

/* tribed is killed; the one that follows finds the processes and their channels, where each says again what it is. */
inline begins_anew()
{
	lead = NOBODY;
	heard = 0;
	TOLD(anew, 0, 0, nothing);
	adopts(0);
	adopts(1)
}
#endif

inline ends_stopped(s)
{
	TOLD(stops, s, 0, kill);
#ifdef BROKEN_NO_KILL
	if
	:: owner == s -> owner = NOBODY /* another is given the lead, and the stopped one lives */
	:: else -> dies(s)
	fi
#else
	dies(s)
#endif
}

#define unread (said[0] != 0 || said[1] != 0 || stage[0] == DEAD || stage[1] == DEAD)

active proctype tribed()
{
end:	do
	:: d_step { stage[0] == ABSENT -> spawns(0) }
	:: d_step { stage[1] == ABSENT && stage[0] != ABSENT -> spawns(1) }
	:: d_step { stage[0] == DEAD -> reaps(0) }
	:: d_step { stage[1] == DEAD -> reaps(1) }
#ifndef BROKEN_STOP_IGNORED
	:: d_step { alive(0) && stopped[0] -> ends_stopped(0) }
	:: d_step { alive(1) && stopped[1] -> ends_stopped(1) }
#endif
#ifdef BOOKS
	:: d_step { (said[0] & HELLO) -> hears_hello(0) }
	:: d_step { (said[1] & HELLO) -> hears_hello(1) }
	:: d_step { said[0] == LEAD -> hears_lead(0) }
	:: d_step { said[1] == LEAD -> hears_lead(1) }
	:: d_step { !unread && owner != NOBODY && stage[owner] >= READS && lead != owner -> HOLDS(TRUTH, false) }
#endif
	od
}

/* ---- what may befall a process ---- */

byte left = FAULTS;
#ifdef TRACE
#define seldom (left % 8 == 0) /* a simulated run would be full of it */
#else
#define seldom true
#endif

active proctype faults()
{
end:	do
	:: d_step { left > 0 && alive(0) -> left--; dies(0) }
	:: d_step { left > 0 && alive(1) -> left--; dies(1) }
	:: d_step { left > 0 && running(0) -> left--; stopped[0] = true }
	:: d_step { left > 0 && running(1) -> left--; stopped[1] = true }
#ifdef BOOKS
	:: d_step { left > 0 && seldom -> left--; begins_anew() }
#endif
	:: d_step { alive(0) && stopped[0] -> stopped[0] = false }
	:: d_step { alive(1) && stopped[1] -> stopped[1] = false }
#ifdef LIVENESS
	/* what may befall need not, but fairness lets nobody wait for ever who could do something */
	:: d_step { left > 0 -> left = 0 }
	:: d_step { stopped[0] || stopped[1] -> skip }
#endif
	od
}

#ifdef LIVENESS
#define led      (owner != NOBODY && running(owner) && stage[owner] == LEADS)
#define answered (op[0] == OPS && op[1] == OPS)
ltl always_led_again { [] <> led }
ltl all_answered { <> answered }
#endif
