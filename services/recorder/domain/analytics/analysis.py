"""What is told of a talk beside its words: measures, matches, scores, feeling; and the terms that it is found by."""

from typing import Any

from services.recorder.domain.analytics import measures as talk
from services.recorder.domain.analytics import rules
from services.recorder.domain.analytics.gist import gist_of
from services.recorder.domain.analytics.scoring import Values, score
from services.recorder.domain.analytics.sentiment import talk as feeling
from services.recorder.domain.transcript.transcript import Transcript
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument


class Analyst:
    """Reads transcripts by their tenants' rules. It keeps nothing between two of them."""

    def analyse(self, transcript: Transcript, tenant: TenantDocument) -> dict[str, Any]:
        """Return {measures, matches, scores, sentiment, gist} for a transcript's document."""
        measured = talk.measure(transcript)
        said = rules.said_in(transcript)
        sentiment = feeling.sentiment_of(transcript)
        queue_id = transcript.subject.queue_id
        in_force = {rule.rule_id: rule for rule in tenant.speech_rules if rules.applies(rule.queue_ids, queue_id)}
        matches = [match for rule in in_force.values() for match in rules.matches_of(rule, said, sentiment)]
        matched = {match.rule_id for match in matches}
        cards = [card for card in tenant.score_cards if rules.applies(card.queue_ids, queue_id)]
        return {
            "measures": talk.to_document(measured),
            "matches": [rules.to_document(match) for match in sorted(matches, key=lambda m: (m.at_ms, m.rule_id))],
            "scores": [score(card, Values(measured, sentiment), matched, in_force) for card in cards],
            "sentiment": feeling.to_document(sentiment),
            "gist": gist_of(transcript) if tenant.transcription.gist else "",
        }

    def terms(self, transcript: Transcript) -> list[str]:
        """Return the dictionary forms of all words that were said, each once: what a search looks up."""
        said = rules.said_in(transcript)
        return sorted({lemma for one in said for word in one.words for lemma in word.lemmas})
