import { test } from "vitest:globals";
const header = 'Basic ' + Buffer.from('user:secret').toString('base64');
const list = Array.from("a:b", (one) => one), table = sql.from('users:archive');
export const run = () => git.pull("main:release").push("main:release");
