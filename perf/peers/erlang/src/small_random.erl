%% Random numbers that stay in a machine word.
%%
%% The contest's SplitMix64 would make a bignum of every number here. This one is the fastest of the standard library
%% (rand:mwc59/1, a multiply-with-carry generator); what is drawn differs, which no program's sum depends on.
-module(small_random).
-export([seeded/1, below/2, next/1]).
-compile({inline, [below/2]}).

seeded(Seed) -> rand:mwc59_seed(Seed).

next(State) -> rand:mwc59(State).

%% A number below the bound, which is less than 2^26, from a state: the high half of a product.
below(State, Bound) -> (rand:mwc59_value32(State) * Bound) bsr 32.
