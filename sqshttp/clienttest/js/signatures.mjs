// Prints requests that the JavaScript SDK's signer has signed, each as a line of JSON:
// node signatures.mjs COUNT SEED

import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';

class Sha256 {
  constructor(key) { this.hash = key ? createHmac('sha256', key) : createHash('sha256'); }
  update(data) { this.hash.update(data); }
  async digest() { return new Uint8Array(this.hash.digest()); }
}

let state = Number(process.argv[3]);
const below = (n) => { // of a generator by Lehmer
  state = (state * 48271 + 1) % 2147483647;
  return state % n;
};
const text = () => Array.from({ length: below(12) }, () => [...'azAZ09-_.~ /+%&=?:;,@!$\'()*üß€'][below(31)]).join('');
const escaped = (s) => encodeURIComponent(s).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());

const signer = new SignatureV4({
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }, service: 'sqs', region: 'us-east-1', sha256: Sha256,
});
for (let n = Number(process.argv[2]); n > 0; n--) {
  const pairs = [['Action', 'ListQueues']];
  for (let i = below(4); i > 0; i--) pairs.push(['x' + i * i, text()]);
  const request = { method: 'GET', protocol: 'http:', hostname: 'localhost', port: 9324, path: '/', headers: { host: 'localhost:9324' }, query: {} };
  const kind = below(4);
  switch (kind) {
    case 0:
      request.method = 'POST';
      request.headers['content-type'] = 'application/x-www-form-urlencoded; charset=utf-8';
      request.body = pairs.map(([k, v]) => escaped(k) + '=' + escaped(v)).join('&');
      break;
    case 1:
      request.method = 'POST';
      request.headers['content-type'] = 'application/x-amz-json-1.0';
      request.headers['x-amz-target'] = 'AmazonSQS.ListQueues';
      request.body = JSON.stringify({ x: text() });
      break;
    default: // one of which is presigned
      request.query = Object.fromEntries(pairs);
      request.path += escaped(text());
  }
  for (let i = below(3); i > 0; i--) request.headers['x-amz-meta-' + i] = 'a  b ' + text().replace(/[^ -~]/g, '');
  const signed = kind === 2 ? await signer.presign(request, { expiresIn: 1 + below(604800) }) : await signer.sign(request);
  const query = Object.entries(signed.query).map(([k, v]) => escaped(k) + '=' + escaped(v)).join('&');
  const { host, ...header } = signed.headers;
  process.stdout.write(JSON.stringify({
    method: signed.method, url: 'http://' + host + signed.path + (query && '?' + query), header, body: signed.body ?? '',
  }) + '\n');
}
