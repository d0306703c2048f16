// The folder `cases`, natively; `rerate plugin test` compares the answers with the sandbox's.

import rule from '../rule.js';
import { golden } from '../sdk/golden.js';

golden(rule, new URL('../', import.meta.url));
