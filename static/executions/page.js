// A page that only shows: its clocks run, and its moments are told in the reader's own time.

import * as clocks from "./clocks.js";
import * as times from "./times.js";

clocks.run();
times.run();
