/** What nft says of chains of others: only those count that decide about forwarded packets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardChains } from '../../../server/network/forward-conflicts.ts';

test('chains at the forward hook are found with their policies', () => {
  const listing = `table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy drop;
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
	chain DOCKER {
	}
}
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
	}
}
table ip nat {
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
	}
}
`;
  assert.deepEqual(forwardChains(listing), [
    { family: 'ip', table: 'filter', chain: 'FORWARD', drops: true },
    { family: 'inet', table: 'firewalld', chain: 'filter_FORWARD', drops: false },
  ]);
});
